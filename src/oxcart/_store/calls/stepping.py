"""A worker's step: ending runs and taking jobs in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from oxcart._model.clock import Clock
from oxcart._model.links import RateLimit
from oxcart._model.options import Retention
from oxcart._model.outcome import (
    Completed,
    Delayed,
    Failed,
    GivenBack,
    Outcome,
    RateLimited,
    Retried,
    WaitingForChildren,
)
from oxcart._store.call import Call, Word, script_call
from oxcart._wire.codec import encode_stacktrace, pairs
from oxcart._wire.keys import QueueKeys

REPLAY_MS = 60_000
"""How long the server remembers a worker's last step, so that it may be sent again."""

PRUNE_LIMIT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRun:
    """A run of a handler that is over, to be written.

    Attributes:
        job_id: the job.
        token: the lock it was taken under.
        outcome: what became of the run.
        attempts: the job's limit of attempts.
        lifo: whether the job goes to the front when it is retried at once.
        keep: retention for the set that it ends in.
        earlier_traces: tracebacks of earlier attempts.
        trace_limit: how many are kept.
    """

    job_id: str
    token: str
    outcome: Outcome
    attempts: int = 1
    lifo: bool = False
    keep: Retention = Retention.ALL
    earlier_traces: tuple[str, ...] = ()
    trace_limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeRequest:
    """What a worker wants to take.

    Attributes:
        count: how many jobs at the most; 0 takes none.
        token: their lock token.
        lock_ms: how long they are locked.
        worker_name: kept with the jobs.
        limit: the worker's own rate limit.
    """

    count: int
    token: str
    lock_ms: int
    worker_name: str | None = None
    limit: RateLimit | None = None


@dataclass(frozen=True, slots=True)
class TakenJob:
    """A job just taken, its fields not read yet: one that cannot be read fails alone."""

    job_id: str
    token: str
    fields: dict[bytes, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReply:
    """What a step did.

    Attributes:
        now_ms: the server's clock.
        codes: one an ended run, in order; see ``_wire.codes``.
        taken: the jobs taken.
        next_due_ms: when the earliest delayed job is due, if fewer were taken than asked for.
        is_held_back: the queue is paused or at its global concurrency.
        dropped: ids that stood in the queue without a readable job; they were removed.
        limited_ms: for how long a rate limit holds jobs back; 0 if none does.
    """

    now_ms: int
    codes: tuple[int, ...]
    taken: tuple[TakenJob, ...]
    next_due_ms: int | None
    is_held_back: bool
    dropped: tuple[str, ...]
    limited_ms: int = 0


def step(
    keys: QueueKeys,
    runs: Sequence[EndedRun],
    take: TakeRequest,
    *,
    clock: Clock,
    worker_id: str,
    sequence: int,
    metrics_size: int = 0,
) -> Call[StepReply]:
    """End runs and take jobs in one atomic step.

    Source: wire format, sections 7.4 to 7.7.

    Args:
        keys: the queue.
        runs: runs to end.
        take: jobs to take.
        clock: what the time is.
        worker_id: unique to the worker.
        sequence: number of the step, from 1: sending the same again does no harm; 0 forgets that.
        metrics_size: how many data points of finished jobs a minute are kept; 0 counts none.
    """
    limit = take.limit
    args: list[Word] = [
        clock.now_ms(), sequence, REPLAY_MS, take.token, take.lock_ms, take.worker_name or "",
        take.count, "" if limit is None else limit.max, "" if limit is None else limit.per_ms,
        metrics_size,
    ]  # fmt: skip
    for run in runs:
        args.extend(_run_words(run))
    return script_call(
        "step",
        (keys.base, keys.private("step", worker_id)),
        args,
        lambda reply: _read_step(reply, take.token),
        is_repeatable=sequence > 0,
    )


def _run_words(run: EndedRun) -> tuple[Word, ...]:
    verb, value, trace, delay_ms, until_ms = _outcome_words(run)
    keep = run.keep
    count = -1 if keep.count is None else keep.count
    age = keep.age_seconds
    return (
        run.job_id, run.token, verb, value, trace, count, -1 if age is None else age,
        keep.limit or PRUNE_LIMIT,
        run.attempts, delay_ms, until_ms, "1" if run.lifo else "0",
    )  # fmt: skip


def _outcome_words(run: EndedRun) -> tuple[str, Word, Word, int, int]:
    """A run's verb, value, trace, delay and instant."""
    match run.outcome:
        case Completed(return_value=value):
            words: tuple[str, Word, Word, int, int] = ("complete", value, "", 0, 0)
        case Failed(reason=reason, trace=trace):
            words = ("fail", reason, _traces(run, trace), 0, 0)
        case Retried(reason=reason, trace=trace, delay_ms=delay_ms):
            verb = "retry_later" if delay_ms else "retry"
            words = (verb, reason, _traces(run, trace), delay_ms, 0)
        case Delayed(delay_ms=delay_ms, until_ms=until_ms):
            words = ("delay", "", "", delay_ms, until_ms)
        case GivenBack():
            words = ("give_back", "", "", 0, 0)
        case WaitingForChildren():
            words = ("wait", "", "", 0, 0)
        case RateLimited(for_ms=for_ms):
            words = ("limit", "", "", for_ms, 0)
        case _:
            raise AssertionError(f"{run.outcome} is not written")
    return words


def _traces(run: EndedRun, trace: str) -> bytes:
    return encode_stacktrace(run.earlier_traces, trace, run.trace_limit)


def _read_step(reply: list[Any], token: str) -> StepReply:
    now, due, held_back, codes, taken, dropped, limited_ms = reply
    # An id that is not UTF-8 cannot be named again, so its job is not run.
    unreadable = [job_id for job_id, _ in taken if not _is_text(job_id)]
    return StepReply(
        now_ms=int(now),
        codes=tuple(codes),
        taken=tuple(
            TakenJob(job_id.decode(), token, pairs(flat))
            for job_id, flat in taken
            if _is_text(job_id)
        ),
        next_due_ms=None if due == b"-1" else int(due),
        is_held_back=held_back == 1,
        dropped=tuple(job_id.decode(errors="replace") for job_id in [*dropped, *unreadable]),
        limited_ms=int(limited_ms),
    )


def _is_text(job_id: bytes) -> bool:
    try:
        job_id.decode()
    except UnicodeDecodeError:
        return False
    return True
