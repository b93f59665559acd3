"""Keeping locks, and recovering what vanished workers held."""

from __future__ import annotations

from collections.abc import Sequence

from oxcart._model.clock import Clock
from oxcart._store.call import Call, Word, script_call
from oxcart._wire.keys import QueueKeys


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
    keys: QueueKeys, *, clock: Clock, interval_ms: int, max_stalled: int
) -> Call[list[str]]:
    """Run the stalled check, unless another worker did within the interval.

    Source: wire format, section 7.11.

    Returns:
        A call that answers the ids given back to wait.
    """
    return script_call(
        "recover_stalled",
        (
            keys.base, keys.wait, keys.active, keys.stalled, keys.stalled_check, keys.marker,
            keys.meta, keys.repeat, keys.events,
        ),
        (clock.now_ms(), interval_ms, max_stalled),
        _texts,
    )  # fmt: skip


def recover_held(keys: QueueKeys, holder: str, *, max_stalled: int) -> Call[list[str]]:
    """Give back at once what a worker held whose process has died.

    Source: wire format, section 7.11, for the jobs of one worker.

    Args:
        keys: the queue.
        holder: what the tokens of the worker's locks begin with.
        max_stalled: how often a job may be recovered before it is failed.

    Returns:
        A call that answers the ids given back to wait.
    """
    return script_call(
        "recover_held",
        (
            keys.base, keys.wait, keys.active, keys.stalled, keys.marker, keys.meta, keys.repeat,
            keys.events,
        ),
        (holder, max_stalled),
        _texts,
        is_repeatable=True,
    )  # fmt: skip


def renew_held(keys: QueueKeys, holder: str, *, lock_ms: int) -> Call[int]:
    """Renew the locks of a worker that cannot do so just now.

    Source: wire format, section 7.10.

    Args:
        keys: the queue.
        holder: what the tokens of the worker's locks begin with.
        lock_ms: how long the locks last from now.

    Returns:
        A call that answers how many there are.
    """
    return script_call(
        "renew_held",
        (keys.base, keys.active, keys.stalled),
        (holder, lock_ms),
        int,
        is_repeatable=True,
    )


def _texts(reply: list[bytes]) -> list[str]:
    return [item.decode(errors="replace") for item in reply]
