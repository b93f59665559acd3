"""Keeping locks, and recovering what vanished workers held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from oxcart._model.clock import Clock
from oxcart._store.call import Call, Word, command, script_call
from oxcart._store.calls.stepping import REPLAY_MS, TakenJob
from oxcart._wire import fields
from oxcart._wire.codec import pairs
from oxcart._wire.keys import QueueKeys

Ran = Literal["alone", "beside", "apart", "not"]
"""How a recovered job ran: alone in its process, beside other jobs, or apart from a worker that
is alive and has lost the lock, or not at all since it was recovered before. Only ``alone`` counts
towards the limit of recoveries."""


def extend_locks(
    keys: QueueKeys, holds: Sequence[tuple[str, str]], *, lock_ms: int
) -> Call[list[str]]:
    """Renew locks.

    Source: wire format, section 7.10.

    Args:
        keys: the queue.
        holds: job ids with their lock tokens.
        lock_ms: how long the locks last from now.

    Returns:
        A call that answers the ids whose lock is not held any more.
    """
    args: list[Word] = [lock_ms]
    for hold in holds:
        args.extend(hold)
    return script_call("extend_locks", (keys.base, keys.stalled), args, _texts, is_repeatable=True)


def take_cancel_requests(keys: QueueKeys, holds: Sequence[tuple[str, str]]) -> Call[dict[str, str]]:
    """Take the requests to cancel jobs among those given.

    Args:
        keys: the queue.
        holds: job ids with their lock tokens.

    Returns:
        A call that answers the reason for each job that is to be cancelled; a request is answered
        once.
    """

    def read(reply: list[bytes | None]) -> dict[str, str]:
        return {
            job_id: reason.decode(errors="replace")
            for (job_id, _), reason in zip(holds, reply, strict=True)
            if reason is not None
        }

    words = [word for hold in holds for word in hold]
    return script_call("take_cancel_requests", (keys.private("cancel", "requests"),), words, read)


def recover_stalled(
    keys: QueueKeys,
    *,
    clock: Clock,
    interval_ms: int,
    max_stalled: int,
    alive_ms: int = 10_000,
    holder: str = "",
) -> Call[list[str] | None]:
    """Run the stalled check, unless another worker did within the interval.

    Source: wire format, section 7.11. A recovery counts towards the limit unless the job ran
    beside others or its worker is alive.

    Args:
        keys: the queue.
        clock: the time instead of the server's.
        interval_ms: one check in this time.
        max_stalled: how often a job may be recovered before it is failed.
        alive_ms: a registered worker with a heartbeat within this time is alive.
        holder: the asking worker; empty: one that is not registered.

    Returns:
        A call that answers the ids given back to wait; ``None`` if it is too early to tell which
        workers are alive, because the server was away.
    """
    return script_call(
        "recover_stalled",
        (
            keys.base, keys.wait, keys.active, keys.stalled, keys.stalled_check, keys.marker,
            keys.meta, keys.events, keys.repeat, keys.workers, keys.beats,
        ),
        (clock.now_ms(), interval_ms, max_stalled, alive_ms, holder),
        lambda reply: None if reply is None else _texts(reply),
    )  # fmt: skip


def find_held(
    keys: QueueKeys, holder: str, *, offset: int, count: int
) -> Call[tuple[int, list[tuple[str, str]]]]:
    """Find the jobs that one worker holds among a portion of the active ones.

    Args:
        keys: the queue.
        holder: what the tokens of the worker's locks begin with.
        offset: how many of the oldest active jobs to pass over.
        count: how many to look at.

    Returns:
        A call that answers how many were looked at, and the ids found with their lock tokens.
    """

    def read(reply: list[Any]) -> tuple[int, list[tuple[str, str]]]:
        pairs = [(job_id.decode(), token.decode()) for job_id, token in reply[1:]]
        return int(reply[0]), pairs

    return script_call(
        "find_held", (keys.base, keys.active), (holder, offset, count), read, is_repeatable=True
    )


def recover_held(
    keys: QueueKeys,
    holds: Sequence[tuple[str, str]],
    *,
    max_stalled: int,
    how: Ran,
    reason: str = "",
) -> Call[list[str]]:
    """Give back at once what a worker held whose process has died.

    Source: wire format, section 7.11, for these jobs.

    Args:
        keys: the queue.
        holds: job ids with the lock tokens of the dead worker; others are not touched.
        max_stalled: how often a job may be recovered before it is failed.
        how: how they ran.
        reason: why a job is failed, with ``%d`` for how often; default: BullMQ's text.

    Returns:
        A call that answers the ids given back to wait.
    """
    args: list[Word] = [max_stalled, how, reason]
    args += [word for hold in holds for word in hold]
    return script_call("recover_held", _recovery_keys(keys), args, _texts, is_repeatable=True)


def adopt_held(
    keys: QueueKeys,
    holds: Sequence[tuple[str, str]],
    *,
    token: str,
    lock_ms: int,
    max_stalled: int,
    how: Ran,
    reason: str,
) -> Call[list[str]]:
    """Hand the jobs that a dead worker held to its supervisor: they stay active, under its lock.

    Args:
        keys: the queue.
        holds: job ids with the lock tokens of the dead worker; others are not touched.
        token: of the supervisor's locks.
        lock_ms: how long they last.
        max_stalled: how often a job may die alone before it is failed.
        how: how they ran.
        reason: why a job is failed, with ``%d`` for how often.

    Returns:
        A call that answers the ids adopted; the others have exceeded the limit or were not held.
    """
    args: list[Word] = [token, lock_ms, max_stalled, how, reason]
    args += [word for hold in holds for word in hold]
    return script_call("adopt_held", _recovery_keys(keys), args, _texts)


def take_held(
    keys: QueueKeys,
    job_id: str,
    held_token: str,
    *,
    clock: Clock,
    token: str,
    lock_ms: int,
    worker_name: str,
) -> Call[TakenJob | None]:
    """Take one active job that the supervisor holds, to run it alone.

    Args:
        keys: the queue.
        job_id: the job.
        held_token: of the supervisor's lock.
        clock: the time instead of the server's.
        token: of the new lock.
        lock_ms: how long it lasts.
        worker_name: kept with the job.

    Returns:
        A call that answers the job; ``None`` if it is not held any more.
    """

    def read(reply: list[Any]) -> TakenJob | None:
        if len(reply) == 1:
            return None
        now, (_, flat, started) = reply
        found = pairs(flat)
        found |= {
            fields.PROCESSED_AT: now,
            fields.PROCESSED_BY: worker_name.encode(),
            fields.ATTEMPTS_STARTED: started,
        }
        return TakenJob(job_id, token, found)

    return script_call(
        "take_held",
        (keys.base, keys.events),
        (clock.now_ms(), job_id, held_token, token, lock_ms, worker_name),
        read,
    )


def forget_alone(keys: QueueKeys, job_id: str) -> Call[None]:
    """Remove the mark by which a job is run alone: from now on it is."""
    return command(("HDEL", keys.job(job_id), "ox:alone"), lambda _: None)


def _recovery_keys(keys: QueueKeys) -> tuple[str, ...]:
    return (
        keys.base, keys.wait, keys.active, keys.stalled, keys.marker, keys.meta, keys.events,
        keys.repeat,
    )  # fmt: skip


def renew_step(keys: QueueKeys, worker_id: str, *, sequence: int, lock_ms: int) -> Call[int]:
    """Renew the locks of jobs that a step took, while its reply is under way.

    Source: wire format, section 7.10.

    Args:
        keys: the queue.
        worker_id: the lane's id, as in its steps.
        sequence: the step's number.
        lock_ms: how long the locks last from now.

    Returns:
        A call that answers how many locks there are, or -1 if the server does not remember the
        step: it has not arrived, or a later one has.
    """
    return script_call(
        "renew_step",
        (keys.base, keys.private("step", worker_id), keys.stalled),
        (sequence, lock_ms, REPLAY_MS),
        int,
        is_repeatable=True,
    )


def _texts(reply: list[bytes]) -> list[str]:
    return [item.decode(errors="replace") for item in reply]
