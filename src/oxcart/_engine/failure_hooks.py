"""Telling the ``on_failure`` hooks of jobs that failed for good."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable

from oxcart._engine.context import set_current
from oxcart._engine.handler import FailedJob, OnFailure
from oxcart._engine.running_job import RunningJob
from oxcart._model.outcome import Failed

log = logging.getLogger("oxcart.worker")


class FailureHooks:
    """The hooks that are running.

    Args:
        queue: the queue's name.
        on_end: called when one has ended.
    """

    def __init__(self, queue: str, *, on_end: Callable[[], None]) -> None:
        self._queue = queue
        self._on_end = on_end
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def running_count(self) -> int:
        """How many hooks are running."""
        return len(self._tasks)

    def tell(self, job: RunningJob, outcome: Failed) -> None:
        """Start the hook of a job that failed, if it has one."""
        task = start_hook(job, self._queue, outcome.reason, outcome.error)
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def cancel(self) -> None:
        """Cancel the hooks that are running."""
        for task in list(self._tasks):
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._on_end()


def start_hook(
    job: RunningJob, queue: str, reason: str, error: BaseException | None
) -> asyncio.Task[None] | None:
    """Start the hook of a job that failed for good, if it has one; what it raises is logged.

    It runs with the context variables of the job's last attempt: its log lines name the job as
    those of the handler do.

    Args:
        job: the job; from here on its context can only be read.
        queue: the queue's name.
        reason: why it failed.
        error: what the last attempt raised, if it raised.
    """
    hook, record = job.handler.on_failure if job.handler else None, job.record
    if hook is None or record is None:
        return None
    failed = FailedJob(
        id=record.id,
        name=record.name,
        queue=queue,
        data=None if record.corruption else record.data,
        reason=reason,
        attempts_made=record.attempts_made + 1,
        error=error,
    )
    job.hold.is_lost = True
    # Not by create_task's own argument: a task factory of the program need not know it.
    return variables_of(job).run(asyncio.get_running_loop().create_task, _run(hook, failed))


def variables_of(job: RunningJob) -> contextvars.Context:
    """Return the context variables of a job's last attempt."""
    if job.variables is not None:
        return job.variables
    # Its task told nothing: the handler is still running, or had returned.
    variables = contextvars.copy_context()
    if job.context is not None:
        variables.run(set_current, job.context)
    return variables


async def _run(hook: OnFailure, failed: FailedJob) -> None:
    try:
        await hook(failed)
    except asyncio.CancelledError:
        raise
    # A hook is the user's code: what it raises must not stop the worker.
    except BaseException:
        log.exception(
            "job.on_failure_hook_failed queue=%s job_id=%s name=%s",
            failed.queue, failed.id, failed.name,
        )  # fmt: skip
