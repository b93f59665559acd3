"""Running one job: from its raw fields to what became of it.

Whatever is wrong with a job is found out here, inside the job's own run, so that it fails alone.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from random import random as _random

from oxcart._engine.context import JobContext, set_current
from oxcart._engine.handler import Handler, Handlers
from oxcart._engine.hold import Hold
from oxcart._engine.threads import JobInterrupted
from oxcart._model.duration import to_ms
from oxcart._model.job import JobRecord
from oxcart._model.options import Retention
from oxcart._model.outcome import (
    Completed,
    Delayed,
    Failure,
    GivenBack,
    Lost,
    Outcome,
    decide,
)
from oxcart._store.calls.stepping import EndedRun, TakenJob
from oxcart._store.store import Store
from oxcart._wire.codec import encode_json, read_job
from oxcart._wire.keys import QueueKeys
from oxcart._wire.options_codec import epoch_ms
from oxcart.errors import ConfigError, Delay, Fail, GiveBack, PayloadError, Retry

log = logging.getLogger("oxcart.jobs")

MAX_REASON = 8_000
MAX_TRACE = 16_000
"""How many characters of an error are kept with the job."""


class CancelReason(enum.Enum):
    """Why a running job is cancelled."""

    STOPPING = "stopping"
    """The worker stops: the job goes back, no attempt is counted."""
    LOST = "lost"
    """The lock is gone: nothing may be written."""
    ABANDONED = "abandoned"
    """It did not end when it was timed out; it has been written as failed already."""


@dataclass(slots=True, eq=False)
class RunningJob:
    """A job being run.

    Attributes:
        taken: as it was taken.
        hold: the right to it.
        record: its fields, once they were read.
        handler: what runs it, once it was found.
        deadline: when it is over time, in the loop's seconds.
        overdue_since: when it was first seen over time.
        task: the task that runs it.
        cancelled_for: set before the task is cancelled.
    """

    taken: TakenJob
    hold: Hold
    record: JobRecord | None = None
    handler: Handler | None = None
    deadline: float | None = None
    overdue_since: float | None = None
    task: asyncio.Task[EndedRun] | None = None
    cancelled_for: CancelReason | None = None

    def cancel(self, reason: CancelReason) -> None:
        """Cancel the run, once."""
        if self.cancelled_for is None and self.task is not None:
            self.cancelled_for = reason
            self.task.cancel(reason.value)


class Executor:
    """Runs jobs with their handlers.

    Args:
        handlers: the queue's handlers.
        store: the server, for progress and logs.
        keys: the queue.
        keep_completed: retention for jobs that have no option of their own.
        keep_failed: the same for failed ones.
        random: gives a number in [0, 1), for jitter.
    """

    def __init__(
        self,
        handlers: Handlers,
        store: Store,
        keys: QueueKeys,
        *,
        keep_completed: Retention = Retention.ALL,
        keep_failed: Retention = Retention.ALL,
        random: Callable[[], float] = _random,
    ) -> None:
        self._handlers = handlers
        self._store = store
        self._keys = keys
        self._keep_completed = keep_completed
        self._keep_failed = keep_failed
        self._random = random

    async def run(self, running: RunningJob) -> EndedRun:
        """Run a job to its end and say what became of it. Never raises."""
        record = read_job(running.taken.job_id, running.taken.fields)
        running.record = record
        result = await self._attempt(running, record)
        if isinstance(result, Failure):
            result = self._decide(result, record)
        if not running.hold.is_valid:
            result = Lost()
        return self.ended(running, result)

    def ended(self, running: RunningJob, outcome: Outcome) -> EndedRun:
        """Put an outcome into the form in which it is written."""
        record, taken = running.record, running.taken
        if record is None:
            return EndedRun(job_id=taken.job_id, token=taken.token, outcome=outcome)
        options = record.options
        is_success = isinstance(outcome, Completed)
        own = options.keep_completed if is_success else options.keep_failed
        default = self._keep_completed if is_success else self._keep_failed
        return EndedRun(
            job_id=taken.job_id,
            token=taken.token,
            outcome=outcome,
            attempts=options.attempts,
            lifo=options.lifo,
            keep=own if own is not None else default,
            earlier_traces=record.stacktrace,
            trace_limit=options.stacktrace_limit,
        )

    async def _attempt(self, running: RunningJob, record: JobRecord) -> Outcome | Failure:
        # Found first: its hook hears of refused jobs too.
        running.handler = handler = self._handlers.find(record.name)
        refusal = self._refusal(record)
        if refusal is not None:
            return Failure(reason=refusal, trace=refusal, is_permanent=True)
        if handler is None:
            return self._unknown_name(record)
        return await self._invoke(running, record, handler)

    async def _invoke(
        self, running: RunningJob, record: JobRecord, handler: Handler
    ) -> Outcome | Failure:
        context = JobContext(record, self._store, self._keys, running.hold)
        set_current(context)
        limit = None if handler.timeout_ms is None else handler.timeout_ms / 1_000
        timeout = asyncio.timeout(limit)
        running.deadline = timeout.when()
        try:
            async with timeout:
                value = await handler.invoke(context)
            return Completed(encode_json(value, what="what the handler returned"))
        except asyncio.CancelledError:
            return self._cancelled(running)
        except TimeoutError as error:
            if timeout.expired():
                return _failure(f"timed out after {handler.timeout_ms} ms", error)
            return _failure_of(error)
        # Whatever a handler raises, SystemExit included, ends its job and not the worker.
        except BaseException as error:  # noqa: BLE001
            return _judge(error)

    def _refusal(self, record: JobRecord) -> str | None:
        """Why a job must fail without being run, if it must."""
        return record.deferred_failure or record.corruption

    def _unknown_name(self, record: JobRecord) -> Failure:
        known = ", ".join(sorted(self._handlers.by_name)) or "none"
        reason = f"no handler for job name {record.name!r} in this worker (it has: {known})"
        return Failure(reason=reason, trace=reason, is_permanent=True)

    def _cancelled(self, running: RunningJob) -> Outcome | Failure:
        match running.cancelled_for:
            case CancelReason.STOPPING:
                return GivenBack()
            case CancelReason.LOST | CancelReason.ABANDONED:
                return Lost()
            case None:  # the handler cancelled itself
                return Failure(reason="the handler was cancelled", trace="CancelledError")

    def _decide(self, failure: Failure, record: JobRecord) -> Outcome:
        return decide(
            failure,
            attempts_made=record.attempts_made,
            max_attempts=record.options.max_attempts,
            backoff=record.options.backoff,
            random=self._random,
        )


def _judge(error: BaseException) -> Outcome | Failure:
    try:
        return _steered(error) or _failure_of(error)
    except ConfigError as wrong_duration:
        return _failure_of(wrong_duration)


def _steered(error: BaseException) -> Outcome | Failure | None:
    """What a handler asked for by what it raised, if it did."""
    match error:
        case Retry():
            after = None if error.after is None else to_ms(error.after, what="Retry after")
            return Failure(reason=_reason(error), trace=_trace(error), after_ms=after)
        case Fail() | PayloadError():
            return Failure(reason=_reason(error), trace=_trace(error), is_permanent=True)
        case Delay():
            return _delayed(error)
        case GiveBack():
            return GivenBack()
        case _:
            return None


def _delayed(error: Delay) -> Outcome | Failure:
    if isinstance(error.until, datetime):
        return Delayed(0, until_ms=epoch_ms(error.until))
    return Delayed(to_ms(error.until, what="Delay"))


def _failure_of(error: BaseException) -> Failure:
    if isinstance(error, JobInterrupted):
        return _failure("the handler's thread was interrupted", error)
    return _failure(_reason(error), error)


def _failure(reason: str, error: BaseException) -> Failure:
    return Failure(reason=reason, trace=_trace(error))


def _reason(error: BaseException) -> str:
    """What an error says; its type's name where it says nothing or cannot say it."""
    try:
        text = str(error)
    # An exception whose text cannot be made must not take the worker with it.
    except Exception:  # noqa: BLE001
        text = ""
    return _clean(text or type(error).__name__, MAX_REASON)


def _trace(error: BaseException) -> str:
    try:
        text = "".join(traceback.format_exception(error, limit=-20))
    # As above: formatting runs the exception's own code.
    except Exception:  # noqa: BLE001
        text = type(error).__name__
    return _clean(text, MAX_TRACE)


def _clean(text: str, limit: int) -> str:
    """Cut a text, and replace what UTF-8 cannot hold."""
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return text.encode(errors="replace").decode()
