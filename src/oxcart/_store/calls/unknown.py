"""Jobs that workers put back because their name or payload was unknown to them."""

from __future__ import annotations

from collections.abc import Collection

from oxcart._model.unknown import WORKERS_KEPT, SeenBy
from oxcart._store.call import Call, command, script_call
from oxcart._wire.keys import QueueKeys

LOOKED_AT = 1_000
"""How many jobs one call looks at, at the most."""


def unknown_key(keys: QueueKeys) -> str:
    """Sorted set of such jobs that were put back within the last minutes; score: due, in ms."""
    return keys.private("unknown", "jobs")


def forget_unknown(keys: QueueKeys, job_id: str) -> Call[None]:
    """Forget that workers could not run a job: one that can is running it."""
    return script_call(
        "forget_unknown",
        (keys.job(job_id), unknown_key(keys)),
        (job_id,),
        lambda _: None,
        is_repeatable=True,
    )


def promote_known(
    keys: QueueKeys, names: Collection[str] | None, *, worker: SeenBy, count: int
) -> Call[int]:
    """Make those of these jobs ready now that a worker can run, for that worker to take at once.

    A job whose payload did not fit the worker, or one of its build, is left where it is.

    Args:
        keys: the queue.
        names: the job names that the worker has handlers for; ``None``: any.
        worker: the worker.
        count: how many at the most.

    Returns:
        A call that answers how many jobs were made ready.
    """
    return script_call(
        "promote_known",
        (keys.base, unknown_key(keys)),
        (
            count, LOOKED_AT, WORKERS_KEPT, worker.worker, worker.build,
            "1" if names is None else "0", *(names or ()),
        ),
        int,
        is_repeatable=True,
    )  # fmt: skip


def count_unknown(keys: QueueKeys) -> Call[int]:
    """How many such jobs there are that were put back within the last minutes."""
    return command(("ZCARD", unknown_key(keys)), int)
