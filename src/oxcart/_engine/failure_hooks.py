"""Telling the ``on_failure`` hooks of jobs that failed for good."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from oxcart._engine.handler import FailedJob, OnFailure
from oxcart._engine.running_job import RunningJob
from oxcart._model.job import JobRecord

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

    def tell(self, job: RunningJob, reason: str) -> None:
        """Start the hook of a job that failed, if it has one."""
        hook = job.handler.on_failure if job.handler else None
        if hook is None or job.record is None:
            return
        task = asyncio.get_running_loop().create_task(self._run(hook, job.record, reason))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def cancel(self) -> None:
        """Cancel the hooks that are running."""
        for task in list(self._tasks):
            task.cancel()

    async def _run(self, hook: OnFailure, record: JobRecord, reason: str) -> None:
        failed = FailedJob(
            id=record.id,
            name=record.name,
            queue=self._queue,
            data=None if record.corruption else record.data,
            reason=reason,
        )
        try:
            await hook(failed)
        except asyncio.CancelledError:
            raise
        # A hook is the user's code: what it raises must not stop the worker.
        except BaseException:
            log.exception(
                "job.on_failure_hook_failed queue=%s job_id=%s name=%s",
                self._queue, record.id, record.name,
            )  # fmt: skip

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._on_end()
