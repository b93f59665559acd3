"""Log lines in Sentry: breadcrumbs, and errors of the worker itself as events."""

from __future__ import annotations

import logging
from typing import Any

import sentry_sdk
from sentry_sdk.integrations.logging import ignore_logger

from oxcart.observe.facts import extras_of, read_line
from oxcart.observe.hiding import hider
from oxcart.observe.job_context import redactor_for
from oxcart.observe.sentry_events import event_of

_OURS = "oxcart"
_WATCHED = (_OURS, "asyncio")
"""Loggers whose errors are nobody's but the program's."""
_NEVER = ("sentry_sdk", "urllib3")
"""Loggers of what sends the reports."""
_REPORTED_BY_HOOKS = "job.failed"
_LEVELS = {"CRITICAL": "fatal"}


class SentryLines(logging.Handler):
    """Takes each line as a breadcrumb, and an error line of oxcart as an event besides."""

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        package = record.name.partition(".")[0]
        if package in _NEVER or not sentry_sdk.get_client().is_active():
            return
        try:
            event, facts = _read(record, package)
            if record.levelno >= logging.ERROR and package in _WATCHED:
                if event == _REPORTED_BY_HOOKS:
                    return
                _report(record, event, facts)
            sentry_sdk.add_breadcrumb(
                type="log",
                level=_level(record),
                category=record.name,
                message=hider().text(event),
                data=facts,
            )
        # As every handler: a line that cannot be taken must not break who logs it.
        except Exception:  # noqa: BLE001
            self.handleError(record)


def watch_lines(logger: logging.Logger) -> None:
    """Take the lines of a logger and of those below it, once."""
    if not any(isinstance(handler, SentryLines) for handler in _handlers_above(logger)):
        logger.addHandler(SentryLines(logging.INFO))
    # The SDK's own integration would report a job's failure, which is reported with its error.
    ignore_logger(f"{_OURS}.*")


def _handlers_above(logger: logging.Logger) -> list[logging.Handler]:
    found: list[logging.Handler] = []
    at: logging.Logger | None = logger
    while at is not None:
        found += at.handlers
        at = at.parent if at.propagate else None
    return found


def _read(record: logging.LogRecord, package: str) -> tuple[str, dict[str, Any]]:
    if isinstance(record.msg, dict):  # logged through structlog
        event, facts = str(record.msg.get("event")), {**record.msg}
        facts.pop("event", None)
        facts.pop("exc_info", None)
    elif package == _OURS:
        event, facts = read_line(record)
    else:
        event, facts = record.getMessage(), {}
    facts |= extras_of(record)
    payload = redactor_for(facts, hider().names)
    shown = {key: hider().member(key, value) for key, value in facts.items()}
    return event, shown if payload is None else payload.shown_texts(shown)


def _report(record: logging.LogRecord, name: str, facts: dict[str, Any]) -> None:
    error = record.exc_info[1] if record.exc_info else None
    event: dict[str, Any] = {} if error is None else event_of(error)
    event |= {
        "level": _level(record),
        "logger": record.name,
        "logentry": {"message": name},
        "tags": {"event": name, **_tags_of(facts)},
        "contexts": {"facts": facts},
    }
    sentry_sdk.capture_event(event)  # type: ignore[arg-type]  # a dict that has an event's keys


def _tags_of(facts: dict[str, Any]) -> dict[str, str]:
    named = ("queue", "job_id", "job_name", "request_id", "method", "route")
    return {key: str(facts[key]) for key in named if facts.get(key) is not None}


def _level(record: logging.LogRecord) -> Any:
    return _LEVELS.get(record.levelname, record.levelname.lower())
