"""Reporting jobs that failed for good: each once, with its last error, never with its payload.

The hook that is told of a job's end sends the report. It runs with the context variables of the
job's last attempt, in which a middleware has noted what Sentry knows of that one.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import sentry_sdk
from sentry_sdk.scope import Scope, use_isolation_scope

from oxcart import (
    App,
    CallNext,
    Delay,
    FailedJob,
    GiveBack,
    JobContext,
    RateLimited,
    WaitForChildren,
)
from oxcart.observe.hiding import hider
from oxcart.observe.job_context import note_failed, redactor_of, running_job
from oxcart.observe.redaction import Redactor
from oxcart.observe.sentry_events import event_of, hide_in_event
from oxcart.observe.sentry_lines import watch_lines

SHOWN_ATTEMPTS = 10

_NO_FAILURE = (Delay, GiveBack, RateLimited, WaitForChildren)
_apps: weakref.WeakKeyDictionary[App, JobReports] = weakref.WeakKeyDictionary()
_reports: weakref.WeakSet[JobReports] = weakref.WeakSet()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """An attempt that failed.

    Attributes:
        job: its job.
        error: what it raised, before the middlewares around this one saw it.
        scope: what was noted in Sentry while it ran.
    """

    job: JobContext
    error: BaseException
    scope: Scope


_attempt: ContextVar[_Attempt] = ContextVar("oxcart_sentry_attempt")


class JobReports:
    """Reports to Sentry the jobs that fail for good.

    Applications use ``report_jobs``. A ``Worker`` without one is given both parts::

        reports = JobReports(secrets={"iban"})
        Worker("bills", pay, middlewares=[reports.middleware], on_failure=reports.on_failure)

    Args:
        app: the application whose jobs are reported.
        secrets: keys of payloads that are secret, beside the usual ones and those that the
            application's jobs declare.
    """

    def __init__(self, app: App | None = None, *, secrets: frozenset[str] = frozenset()) -> None:
        self._app = None if app is None else weakref.ref(app)
        self._secrets = frozenset(secrets)
        watch_lines(logging.getLogger("oxcart"))
        if not _reports:
            Scope.get_global_scope().add_event_processor(_complete)
        _reports.add(self)

    @classmethod
    def of(cls, app: App) -> Self:
        """The reports of an application, on which they are declared the first time."""
        reports: Any = _apps.get(app)
        if reports is None:
            reports = _apps[app] = cls(app)
            app.middleware(reports.middleware)
            app.on_failure(reports.on_failure)
        return reports  # type: ignore[no-any-return]  # made by this class

    async def middleware(self, job: JobContext, call_next: CallNext) -> object:
        """Run an attempt in a scope of Sentry's of its own, and note what it raised."""
        if not sentry_sdk.get_client().is_active():
            return await call_next(job)
        with sentry_sdk.isolation_scope() as scope:
            scope.clear_breadcrumbs()  # what the worker did before is not this job's
            try:
                return await call_next(job)
            # Also what ends a task: a job that was timed out or cancelled.
            except BaseException as error:
                self._note(job, error, scope)
                raise

    async def on_failure(self, failed: FailedJob) -> None:
        """Report a job that failed for good."""
        if not sentry_sdk.get_client().is_active():
            return
        job = running_job()
        attempt = _attempt.get(None)
        if attempt is not None and attempt.job is not job:
            attempt = None
        redactor = Redactor(failed.data, self.secrets_of(failed.queue, failed.name))
        scope = (attempt.scope if attempt else Scope.get_isolation_scope()).fork()
        if attempt is None:
            scope.clear_breadcrumbs()
        scope.add_event_processor(lambda event, _: hide_in_event(event, redactor))
        with use_isolation_scope(scope):
            event = _event(failed, _error_of(failed, attempt), job)
            sentry_sdk.capture_event(event)  # type: ignore[arg-type]  # as a dict

    def _note(self, job: JobContext, error: BaseException, scope: Scope) -> None:
        if isinstance(_sole(error), _NO_FAILURE):
            return
        note_failed(job, self.secrets_of(job.queue, job.name))
        _attempt.set(_Attempt(job=job, error=error, scope=scope))

    def secrets_of(self, queue: str, name: str) -> frozenset[str]:
        """The keys that are secret in the payloads of a job name."""
        app = self._app and self._app()
        definition = app.registry.get((queue, name)) if app else None
        return self._secrets | hider().names | (definition.secrets if definition else frozenset())


def _complete(event: Any, _: Any) -> Any:
    """Say of what is captured inside a handler which job it is, and hide what is secret."""
    job = None if event.get("type") == "transaction" else running_job()
    if job is None:
        return event
    facts = _facts(job.queue, job.name, job.job_id, job.attempt, job.max_attempts)
    event["tags"] = {**_tags(facts), **(event.get("tags") or {})}
    contexts = event.get("contexts") or {}
    event["contexts"] = {**contexts, "job": {**(contexts.get("job") or {}), **facts}}
    names = (reports.secrets_of(job.queue, job.name) for reports in _reports)
    return hide_in_event(event, redactor_of(job, frozenset().union(*names)))


def _error_of(failed: FailedJob, attempt: _Attempt | None) -> BaseException | None:
    """The error to tell: what the handler raised, if a middleware made another one of it."""
    if attempt is None or isinstance(_sole(attempt.error), asyncio.CancelledError):
        return failed.error  # the engine knows why it cancelled the handler
    return attempt.error if _led_to(attempt.error, failed.error) else failed.error


def _led_to(first: BaseException, last: BaseException | None) -> bool:
    seen: set[int] = set()
    while last is not None and id(last) not in seen:
        if last is first:
            return True
        seen.add(id(last))
        last = last.__cause__ or last.__context__
    return False


def _event(
    failed: FailedJob, error: BaseException | None, job: JobContext | None
) -> dict[str, Any]:
    max_attempts = job.max_attempts if job else None
    facts = _facts(failed.queue, failed.name, failed.id, failed.attempts_made, max_attempts)
    event: dict[str, Any] = {} if error is None else event_of(error)
    if isinstance(error, asyncio.CancelledError):
        event["exception"]["values"][-1]["value"] = failed.reason
    event |= {
        "level": "error",
        "logger": "oxcart.jobs",
        "logentry": {"message": failed.reason},
        "transaction": failed.name,
        "fingerprint": ["{{ default }}", failed.queue, failed.name],
        "tags": _tags(facts),
        "contexts": {"job": {**facts, "reason": failed.reason}},
        "breadcrumbs": {"values": _crumbs(job) if job else []},
    }
    return event


def _facts(
    queue: str, name: str, job_id: str, attempts: int, max_attempts: int | None
) -> dict[str, Any]:
    facts: dict[str, Any] = {"queue": queue, "name": name, "id": job_id, "attempts": attempts}
    return facts if max_attempts is None else {**facts, "max_attempts": max_attempts}


def _tags(facts: dict[str, Any]) -> dict[str, str]:
    names = {"queue": "queue", "job_name": "name", "job_id": "id", "attempts": "attempts"}
    return {tag: str(facts[key]) for tag, key in names.items()}


def _crumbs(job: JobContext) -> list[dict[str, Any]]:
    """The attempts before the last one."""
    at_ms = job.record.processed_at_ms
    when = datetime.now(UTC) if at_ms is None else datetime.fromtimestamp(at_ms / 1e3, UTC)
    return [
        {
            "type": "error",
            "category": "job.retried",
            "level": "warning",
            "message": _headline(trace),
            "timestamp": when,
        }
        for trace in job.record.stacktrace[-SHOWN_ATTEMPTS:]
    ]


def _headline(trace: str) -> str:
    """The line of a traceback that tells the error: Python's last one, Node's first one."""
    lines = trace.strip().splitlines() or [""]
    return lines[-1 if "Traceback (most recent call last)" in trace else 0].strip()


def _sole(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
