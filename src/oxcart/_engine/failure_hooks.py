"""Runs the hooks of a worker, each in a task of its own."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Sequence

from oxcart._engine.context import set_current
from oxcart._engine.handler import FailedJob, OnFailure
from oxcart._engine.running_job import RunningJob
from oxcart._engine.worker_hooks import (
    CompletedJob,
    FailedAttempt,
    Hook,
    StalledJob,
    WorkerHooks,
    WorkerTrouble,
    call_hooks,
)
from oxcart._model.job import JobRecord
from oxcart._model.outcome import Completed, Failed, Outcome, Retried
from oxcart._wire.codec import decode_json

log = logging.getLogger("oxcart.worker")


class RunningHooks:
    """The hooks that are running.

    Args:
        queue: the queue's name.
        hooks: those besides ``on_failure``, which is the handler's.
        on_end: called when one has ended.
    """

    def __init__(self, queue: str, hooks: WorkerHooks, *, on_end: Callable[[], None]) -> None:
        self._queue = queue
        self._hooks = hooks
        self._on_end = on_end
        self._tasks: set[asyncio.Task[None]] = set()
        self.wants_completed = bool(hooks.on_completed)
        """Whether completed jobs are reported: then their records are kept until then."""

    @property
    def running_count(self) -> int:
        """How many hooks are running."""
        return len(self._tasks)

    def ended(self, job: RunningJob, outcome: Outcome) -> None:
        """Start the hooks for a run whose outcome was written."""
        if isinstance(outcome, Failed):
            task = start_hook(job, self._queue, outcome.reason, outcome.error)
            if task is not None:
                self._add(task)
        elif job.record is None:
            return
        elif isinstance(outcome, Retried) and self._hooks.on_attempt_failed:
            fact = _failed_attempt(job.record, self._queue, outcome)
            self._call(self._hooks.on_attempt_failed, fact, variables_of(job))
        elif isinstance(outcome, Completed) and self._hooks.on_completed:
            self._completed(job, job.record, outcome)

    def _completed(self, job: RunningJob, record: JobRecord, outcome: Completed) -> None:
        fact = CompletedJob(
            id=record.id,
            name=record.name,
            queue=self._queue,
            data=record.data,
            result=decode_json(outcome.return_value, what="the result"),
            attempts_made=record.attempts_made + 1,
        )
        job.hold.is_lost = True
        self._call(self._hooks.on_completed, fact, variables_of(job))

    def stalled(self, job_ids: Sequence[str]) -> None:
        """Start the hooks for jobs that were put back from vanished workers."""
        if self._hooks.on_stalled:
            for job_id in job_ids:
                fact = StalledJob(id=job_id, queue=self._queue)
                self._call(self._hooks.on_stalled, fact)

    def trouble(self, error: BaseException) -> None:
        """Start the hooks for an error of the worker itself."""
        if self._hooks.on_error:
            self._call(self._hooks.on_error, WorkerTrouble(queue=self._queue, error=error))

    def _call(
        self, hooks: Sequence[Hook], fact: object, variables: contextvars.Context | None = None
    ) -> None:
        variables = variables or contextvars.copy_context()
        # Not by create_task's own argument: a task factory of the program need not know it.
        create = asyncio.get_running_loop().create_task
        self._add(variables.run(create, call_hooks(hooks, fact)))

    def _add(self, task: asyncio.Task[None]) -> None:
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


def _failed_attempt(record: JobRecord, queue: str, outcome: Retried) -> FailedAttempt:
    return FailedAttempt(
        id=record.id,
        name=record.name,
        queue=queue,
        data=None if record.corruption else record.data,
        reason=outcome.reason,
        attempts_made=record.attempts_made + 1,
        delay_ms=outcome.delay_ms,
        error=outcome.error,
    )


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
