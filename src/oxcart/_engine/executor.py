"""Running one job: from its raw fields to what became of it.

Whatever is wrong with a job is found out here, inside the job's own run, so that it fails alone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import replace
from random import random as _random
from typing import Any

from oxcart._engine.context import JobContext, set_current
from oxcart._engine.deadlines import Deadlines
from oxcart._engine.handler import Handler, Handlers
from oxcart._engine.iterations import IterationMaker
from oxcart._engine.judging import failure_of, final, judge, sole
from oxcart._engine.middleware import tell_success
from oxcart._engine.refusing import refusal_of
from oxcart._engine.retry_policy import RetryJudge, rule_for
from oxcart._engine.running_job import CancelReason, RunningJob
from oxcart._engine.unknown_jobs import UnknownJobs
from oxcart._model.by_identity import ByIdentity
from oxcart._model.clock import ServerClock
from oxcart._model.job import JobRecord
from oxcart._model.options import JobOptions, Retention
from oxcart._model.outcome import (
    Completed,
    Delayed,
    Failure,
    GivenBack,
    Lost,
    Outcome,
    PutBack,
    decide,
)
from oxcart._model.unknown import SeenBy, UnknownKind
from oxcart._store.calls.stepping import EndedRun, Terms
from oxcart._store.calls.unknown import forget_unknown
from oxcart._store.store import Store
from oxcart._wire.codec import encode_json, read_job
from oxcart._wire.codes import Code, error_of
from oxcart._wire.keys import QueueKeys
from oxcart.errors import PayloadError, ResultError, StoreError

NOTHING_TO_WAIT_FOR = 1
"""What the server answers to a job that waits for children when all are settled."""
_PATIENT_RUNS = 20
"""How many runs that are no attempts a job may have before an empty wait for children is slowed."""
_PAUSE_MS = 1_000

_MOST_TERMS = 1_000
"""How many different options of jobs are remembered with what follows from them."""

log = logging.getLogger("oxcart.jobs")


class Executor:
    """Runs jobs with their handlers.

    Args:
        handlers: the queue's handlers.
        store: the server, for progress and logs.
        keys: the queue.
        keep_completed: retention for jobs that have no option of their own.
        keep_failed: the same for failed ones.
        max_started_attempts: how often a job may be taken before it fails; ``None``: any number.
        deaths_use_attempts: whether a death of its process uses up one of a job's attempts.
        seen_by: the worker that it belongs to, as it is noted with jobs that it cannot run.
        unknown_timeout_ms: how long after it was first seen such a job fails; 0: at once.
        iterations: makes the next jobs of schedulers.
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
        max_started_attempts: int | None = None,
        deaths_use_attempts: bool = False,
        seen_by: SeenBy | None = None,
        unknown_timeout_ms: int = 0,
        iterations: IterationMaker | None = None,
        random: Callable[[], float] = _random,
    ) -> None:
        self._handlers = handlers
        self._store = store
        self._keys = keys
        self._keep_completed = keep_completed
        self._keep_failed = keep_failed
        self._max_started_attempts = max_started_attempts
        self._deaths_use_attempts = deaths_use_attempts
        self._iterations = iterations or IterationMaker(store, keys, ServerClock())
        self._random = random
        self.hooks = handlers.hooks
        self._retry_judge = RetryJudge(handlers.backoff_strategies, random)
        self._unknown_jobs = UnknownJobs(
            keys.queue,
            timeout_ms=unknown_timeout_ms,
            seen_by=seen_by or SeenBy("unnamed"),
            random=random,
        )
        self._nobody = Handler(invoke=_run_by_nobody, on_failure=handlers.on_failure)
        self._deadlines = Deadlines()
        self._terms = ByIdentity(self._make_terms, limit=_MOST_TERMS)

    async def run(self, running: RunningJob) -> EndedRun:
        """Run a job to its end and say what became of it. Never raises."""
        running.has_begun = True
        running.began_at = time.monotonic()
        if running.cancelled_for is not None:
            return self.ended(running, _outcome_of_unbegun(running.cancelled_for))
        record = read_job(running.taken.job_id, running.taken.fields)
        running.record = record
        # Before the job runs, so that one that fails or takes long holds up no schedule.
        result = None if record.scheduler_id is None else await self._make_next(running, record)
        if result is None:
            result = await self._attempt(running, record)
        if isinstance(result, Failure):
            result = self._decide(result, record)
            running.variables = copy_context()
        if not running.hold.is_valid:
            result = Lost()
        return self.ended(running, result)

    def ended(self, running: RunningJob, outcome: Outcome) -> EndedRun:
        """Put an outcome into the form in which it is written."""
        record, taken = running.record, running.taken
        if record is None:
            return EndedRun(job_id=taken.job_id, token=taken.token, outcome=outcome)
        options = record.options
        if_completed, if_failed = self._terms.get(options)
        return EndedRun(
            job_id=taken.job_id,
            token=taken.token,
            outcome=outcome,
            terms=if_completed if isinstance(outcome, Completed) else if_failed,
            earlier_traces=record.stacktrace,
            trace_limit=options.stacktrace_limit,
        )

    def _make_terms(self, options: JobOptions) -> tuple[Terms, Terms]:
        """What becomes of a job with these options: if it completes, and if not."""
        return (
            _terms(options, options.keep_completed or self._keep_completed),
            _terms(options, options.keep_failed or self._keep_failed),
        )

    def reconsider(self, running: RunningJob, code: int) -> EndedRun:
        """Say what becomes of a run whose outcome the server refused.

        Args:
            running: the job.
            code: what the server answered.

        Raises:
            OxcartError: the code leaves nothing to decide.
        """
        # The record of a run that has completed was let go.
        record = running.record or read_job(running.taken.job_id, running.taken.fields)
        running.record = record
        running.context = self._context_of(running, record)
        if code == NOTHING_TO_WAIT_FOR:
            return self.ended(running, _again(record))
        error = error_of(
            code, job_id=record.id, queue=self._keys.queue, expected="free of children"
        )
        if code == Code.PENDING_CHILDREN:
            failure = self._retried(running, record, failure_of(error), error)
        elif code == Code.FAILED_CHILDREN:
            failure = final(str(error), error)
        else:
            raise error
        return self.ended(running, self._decide(failure, record))

    async def _make_next(self, running: RunningJob, record: JobRecord) -> Outcome | Failure | None:
        try:
            return await self._iterations.make_next(running.taken, record, running.hold)
        except asyncio.CancelledError as error:
            # One that somebody cancelled goes back: it is failed by whoever takes it next, once its
            # successor is made. Failed here, it would be the last of its scheduler.
            if running.cancelled_for is CancelReason.CANCELLED:
                return GivenBack()
            return self._cancelled(running, record, error)

    async def _attempt(self, running: RunningJob, record: JobRecord) -> Outcome | Failure:
        # Found first: its hook hears of refused jobs too.
        handler = self._handlers.find(record.name)
        running.handler = handler or self._nobody
        running.context = context = self._context_of(running, record)
        set_current(context)
        refusal = refusal_of(record, self._max_started_attempts)
        if refusal is not None:
            return final(refusal)
        if handler is None:
            return self._unknown_name(record)
        result = await self._invoke(running, context, handler)
        if record.unknown is not None and type(result) is not PutBack and running.hold.is_valid:
            await self._forget_unknown(record)
        return result

    async def _invoke(
        self, running: RunningJob, context: JobContext, handler: Handler
    ) -> Outcome | Failure:
        record = context.record
        if handler.timeout_ms is not None:
            self._deadlines.start(running, handler.timeout_ms)
        try:
            value = await handler.invoke(context)
            outcome = Completed(_encode_result(value))
        except asyncio.CancelledError as error:
            return self._cancelled(running, record, error)
        # Whatever a handler raises, SystemExit included, ends its job and not the worker.
        except BaseException as error:  # noqa: BLE001
            is_misfit = context.payload_error is not None and sole(error) is context.payload_error
            # A rule for such errors decides instead.
            if is_misfit and rule_for(handler.retry or {}, sole(error)) is None:
                return self._unknown_jobs.decide(record, UnknownKind.PAYLOAD, str(error), error)
            return self._judged(running, record, error)
        finally:
            if handler.timeout_ms is not None:
                self._deadlines.stop(running, handler.timeout_ms)
        if self._handlers.after and running.hold.is_valid:
            await tell_success(self._handlers.after, context, value, running.deadline)
        return outcome

    def _context_of(self, running: RunningJob, record: JobRecord) -> JobContext:
        return JobContext(record, self._store, self._keys, running.hold)

    def _judged(
        self, running: RunningJob, record: JobRecord, error: BaseException
    ) -> Outcome | Failure:
        result = judge(error)
        if isinstance(result, Failure):
            return self._retried(running, record, result, error)
        return result

    def _unknown_name(self, record: JobRecord) -> PutBack | Failure:
        known = ", ".join(sorted(self._handlers.by_name)) or "none"
        reason = f"no handler for job name {record.name!r} in this worker (it has: {known})"
        return self._unknown_jobs.decide(record, UnknownKind.NAME, reason)

    async def _forget_unknown(self, record: JobRecord) -> None:
        """Remove the note that other workers put the job back, as this one has run it."""
        try:
            await self._store.run(forget_unknown(self._keys, record.id))
        # The note only shows, and the outcome must be written all the same.
        except (StoreError, asyncio.CancelledError) as error:
            log.debug("job.note_kept queue=%s job_id=%s: %s", self._keys.queue, record.id, error)

    def _cancelled(
        self, running: RunningJob, record: JobRecord, error: BaseException
    ) -> Outcome | Failure:
        match running.cancelled_for:
            case CancelReason.STOPPING:
                return GivenBack()
            case CancelReason.LOST | CancelReason.ABANDONED:
                return Lost()
            case CancelReason.CANCELLED:
                return final(running.cancel_reason_text or "cancelled", error)
            case CancelReason.TIMED_OUT:
                return self._timed_out(running, record, error)
            case None:  # the handler cancelled itself
                failure = Failure(
                    reason="the handler was cancelled", trace="CancelledError", error=error
                )
                return self._retried(running, record, failure, error)

    def _timed_out(self, running: RunningJob, record: JobRecord, error: BaseException) -> Failure:
        limit = running.handler.timeout_ms if running.handler else None
        timeout = TimeoutError(f"timed out after {limit} ms")
        timeout.__cause__ = error
        failure = failure_of(timeout)
        return self._retried(running, record, failure, timeout)

    def _retried(
        self, running: RunningJob, record: JobRecord, failure: Failure, error: BaseException
    ) -> Failure:
        """The failed attempt, with what the user has to say to what follows."""
        if running.handler is None:
            return failure
        return self._retry_judge.judge(
            failure, error, record=record, handler=running.handler, raw=running.taken.fields
        )

    def _decide(self, failure: Failure, record: JobRecord) -> Outcome:
        limit = self._max_started_attempts
        if limit is not None and record.attempts_started - record.unrun_count >= limit:
            failure = replace(failure, is_permanent=True)
        return decide(
            failure,
            attempts_made=record.attempts_made,
            max_attempts=record.options.max_attempts - self._deaths_of(record),
            backoff=record.options.backoff,
            random=self._random,
        )

    def _deaths_of(self, record: JobRecord) -> int:
        """How many of a job's attempts were used up by deaths of its process."""
        return record.stalled_count if self._deaths_use_attempts else 0


def _terms(options: JobOptions, keep: Retention) -> Terms:
    return Terms(attempts=options.attempts, lifo=options.lifo, keep=keep)


def _outcome_of_unbegun(reason: CancelReason) -> Outcome:
    """What becomes of a job whose run was cancelled before it had begun."""
    # One that somebody cancelled is failed by whoever takes it next: a scheduler's job needs its
    # successor first.
    if reason in (CancelReason.STOPPING, CancelReason.CANCELLED):
        return GivenBack()
    return Lost()


def _again(record: JobRecord) -> Outcome:
    """What becomes of a job that wanted to wait for children and has none pending.

    They may have settled while it ran: then it is run again at once. A handler that asks for it
    time and again is held back, so that it cannot keep the worker and the server busy.
    """
    uncounted = record.attempts_started - record.unrun_count - record.attempts_made - 1
    if uncounted < _PATIENT_RUNS:
        return GivenBack()
    if uncounted % _PATIENT_RUNS == 0:
        log.warning(
            "job.waits_for_no_children job_id=%s name=%s: its handler raises WaitForChildren "
            "though no child is pending; it is run again every %d ms",
            record.id, record.name, _PAUSE_MS,
        )  # fmt: skip
    return Delayed(_PAUSE_MS)


async def _run_by_nobody(_: JobContext) -> object:
    raise AssertionError("a job without a handler is not run")


def _encode_result(value: Any) -> bytes:
    """Encode what a handler returned.

    Raises:
        ResultError: JSON cannot hold it.
    """
    try:
        return encode_json(value, what="what the handler returned")
    except PayloadError as error:
        raise ResultError(str(error)) from error
