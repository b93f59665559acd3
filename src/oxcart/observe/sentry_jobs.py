"""Reporting jobs that failed for good: each once, with its last error, never with its payload.

A middleware notes what an attempt raised; the hook that is told of a job's end sends it. Between
them only the note is kept, not the error with all that its frames hold.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections import OrderedDict
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
    JobInterrupted,
    OxcartError,
    RateLimited,
    WaitForChildren,
)
from oxcart.observe.hiding import hider
from oxcart.observe.job_context import note_failed, redactor_of, running_job
from oxcart.observe.redaction import Redactor
from oxcart.observe.sentry_events import event_of, hide_in_event
from oxcart.observe.sentry_lines import watch_lines

MAX_NOTED = 512
"""How many attempts' errors are remembered until it is known what became of their jobs."""
SHOWN_ATTEMPTS = 10
MAX_REASON = 8_000
"""How many characters of an error the engine keeps as a reason."""

_NO_FAILURE = (Delay, GiveBack, RateLimited, WaitForChildren)
_apps: weakref.WeakKeyDictionary[App, JobReports] = weakref.WeakKeyDictionary()
_reports: weakref.WeakSet[JobReports] = weakref.WeakSet()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Note:
    """What is known of the attempt that a job's end came from.

    Attributes:
        event: tells its error; ``None`` if no handler ran.
        reasons: what the engine may call the error.
        scope: what was noted in Sentry while the attempt ran.
        attempts: how many attempts were made, if it is known.
        max_attempts: how many it may have.
        traces: the tracebacks of the attempts before, oldest first.
        at_ms: when it was taken.
    """

    event: dict[str, Any] | None = None
    reasons: tuple[str, ...] = ()
    scope: Scope | None = None
    attempts: int | None = None
    max_attempts: int | None = None
    traces: tuple[str, ...] = ()
    at_ms: int | None = None


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
        self._notes: OrderedDict[tuple[str, str], _Note] = OrderedDict()
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
        note = self._notes.pop((failed.queue, failed.id), None)
        if note is None or not _is_about(note, failed.reason):
            # Nothing ran here: it was refused, or its handler never ended. Or a middleware made
            # another error of the one that was noted, and the attempt is the same.
            found = await self._look_up(failed)
            is_noted = note is not None and note.attempts == found.attempts
            note = note if note is not None and is_noted else found
        redactor = Redactor(failed.data, self.secrets_of(failed.queue, failed.name))
        scope = (note.scope or Scope.get_isolation_scope()).fork()
        if note.scope is None:
            scope.clear_breadcrumbs()
        scope.add_event_processor(lambda event, _: hide_in_event(event, redactor))
        with use_isolation_scope(scope):
            sentry_sdk.capture_event(_event(failed, note))  # type: ignore[arg-type]  # as a dict

    def _note(self, job: JobContext, error: BaseException, scope: Scope) -> None:
        cause = _sole(error)
        if isinstance(cause, _NO_FAILURE):
            return
        note_failed(job, self.secrets_of(job.queue, job.name))
        self._notes[job.queue, job.job_id] = _Note(
            event=event_of(error),
            reasons=_reasons(error, cause),
            scope=scope,
            attempts=job.attempt,
            max_attempts=job.max_attempts,
            traces=job.record.stacktrace,
            at_ms=job.record.processed_at_ms,
        )
        self._notes.move_to_end((job.queue, job.job_id))
        if len(self._notes) > MAX_NOTED:
            self._notes.popitem(last=False)

    async def _look_up(self, failed: FailedJob) -> _Note:
        app = self._app and self._app()
        if not app:
            return _Note()
        try:
            job = await app.queue(failed.queue).get_job(failed.id)
        except OxcartError:
            return _Note()
        if job is None:  # kept no longer
            return _Note()
        return _Note(
            attempts=job.attempts_made,
            max_attempts=job.options.max_attempts,
            traces=job.stacktrace[:-1],
            at_ms=job.processed_at_ms,
        )

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
    event["contexts"] = {**(event.get("contexts") or {}), "job": facts}
    names = (reports.secrets_of(job.queue, job.name) for reports in _reports)
    return hide_in_event(event, redactor_of(job, frozenset().union(*names)))


def _event(failed: FailedJob, note: _Note) -> dict[str, Any]:
    facts = _facts(failed.queue, failed.name, failed.id, note.attempts, note.max_attempts)
    event: dict[str, Any] = note.event or {"logentry": {"message": failed.reason}}
    if note.event is not None and note.event["exception"]["values"][-1]["type"] == "CancelledError":
        # The engine knows why it cancelled the handler.
        timed_out = failed.reason.startswith("timed out")
        kind = "TimeoutError" if timed_out else "CancelledError"
        event["exception"]["values"][-1] |= {"type": kind, "value": failed.reason}
    event |= {
        "level": "error",
        "logger": "oxcart.jobs",
        "transaction": failed.name,
        "fingerprint": ["{{ default }}", failed.queue, failed.name],
        "tags": _tags(facts),
        "contexts": {"job": {**facts, "reason": failed.reason}},
        "breadcrumbs": {"values": _crumbs(note)},
    }
    return event


def _facts(
    queue: str, name: str, job_id: str, attempts: int | None, max_attempts: int | None
) -> dict[str, Any]:
    facts = {
        "queue": queue, "name": name, "id": job_id, "attempts": attempts,
        "max_attempts": max_attempts,
    }  # fmt: skip
    return {key: value for key, value in facts.items() if value is not None}


def _tags(facts: dict[str, Any]) -> dict[str, str]:
    names = {"queue": "queue", "job_name": "name", "job_id": "id", "attempts": "attempts"}
    return {tag: str(facts[key]) for tag, key in names.items() if key in facts}


def _crumbs(note: _Note) -> list[dict[str, Any]]:
    """The attempts before the last one."""
    when = (
        datetime.now(UTC) if note.at_ms is None else datetime.fromtimestamp(note.at_ms / 1e3, UTC)
    )
    return [
        {
            "type": "error",
            "category": "job.retried",
            "level": "warning",
            "message": _headline(trace),
            "timestamp": when,
        }
        for trace in note.traces[-SHOWN_ATTEMPTS:]
    ]


def _headline(trace: str) -> str:
    """The line of a traceback that tells the error: Python's last one, Node's first one."""
    lines = trace.strip().splitlines() or [""]
    return lines[-1 if "Traceback (most recent call last)" in trace else 0].strip()


def _sole(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _reasons(error: BaseException, cause: BaseException) -> tuple[str, ...]:
    if isinstance(cause, asyncio.CancelledError):
        return ("timed out after", "cancelled", "the handler was cancelled", *map(str, cause.args))
    if isinstance(cause, JobInterrupted):
        return ("the handler's thread was interrupted",)
    return tuple(_text(item) for item in (error, cause))


def _text(error: BaseException) -> str:
    try:
        return str(error) or type(error).__name__
    # An exception whose text cannot be made.
    except Exception:  # noqa: BLE001
        return type(error).__name__


def _is_about(note: _Note, reason: str) -> bool:
    """Whether a job's end came from the attempt that was noted, and not from a later refusal."""
    if "timed out after" in note.reasons and reason.startswith("timed out after"):
        return True
    return any(_cut(text) == _cut(reason) for text in note.reasons)


def _cut(text: str) -> str:
    return text[: MAX_REASON - 1].encode(errors="replace").decode()
