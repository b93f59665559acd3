"""Log lines: readable in development, one JSON object a line in production.

The packages log through the standard library, one event name a fact. What is logged through
structlog comes out in the same form. Every line of a handler names its job, and secrets are hidden.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from oxcart._engine.tracebacks import traceback_text
from oxcart.observe.facts import extras_of, read_line
from oxcart.observe.hiding import hider
from oxcart.observe.job_context import facts_of, redactor_for, running_job
from oxcart.observe.log_writer import LogWriter

_QUIET = (
    "alembic", "asyncio", "aiosqlite", "mail.log", "httpx2", "httpcore2", "sentry_sdk", "urllib3",
    "boto3", "botocore",
)  # fmt: skip
_OF_LAMBDA = ("LambdaLoggerHandler", "LambdaLoggerHandlerWithFrameType")
"""Lambda's runtime has one of these on the root logger; its module has no stable name."""
_OURS = "oxcart"
_NO_TEXT = frozenset({"level", "logger", "timestamp", "job_id", "attempt", "queue"})
"""Keys whose values repeat nothing of a payload."""


def configure_logs(*, level: str, as_json: bool) -> None:
    """Send all log lines of this process to standard error; a reader that hangs blocks nothing.

    Args:
        level: the lowest level shown: ``debug``, ``info``, ``warning`` or ``error``.
        as_json: one JSON object a line instead of coloured text.
    """
    handler = LogWriter()
    handler.setFormatter(_formatter(as_json=as_json))
    root = logging.getLogger()
    # These would show each line once more, with its secrets.
    for item in [item for item in root.handlers if _shows_plainly(item)]:
        root.removeHandler(item)
        if type(item) is LogWriter:
            item.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    _send_structlog_through_logging()


def add_job(_: Any, __: str, event: EventDict) -> EventDict:
    """Say which job a line belongs to: a processor for a structlog configuration of your own."""
    job = running_job()
    if job is None:
        return event
    # A handler's line about another job keeps that one's facts.
    if event.get("job_id", job.job_id) != job.job_id:
        event.setdefault("running_job_id", job.job_id)
        return event
    for key, value in facts_of(job).items():
        event.setdefault(key, value)
    return event


def hide_secrets(_: Any, __: str, event: EventDict) -> EventDict:
    """Hide secrets: a processor to put just before the renderer, after ``format_exc_info``."""
    hiding = hider()
    payload = redactor_for(event, hiding.names)
    shown: EventDict = {}
    for key, value in event.items():
        if key in _NO_TEXT and isinstance(value, str | int):
            shown[key] = value
            continue
        if payload is None:
            shown[key] = hiding.member(key, value)
            continue
        # Before a long text is cut, perhaps inside a secret; and again what was no text before.
        shown[key] = payload.shown_texts(hiding.member(key, payload.shown_texts(value)))
    return shown


def _shows_plainly(handler: logging.Handler) -> bool:
    """Whether a handler shows lines plainly: of ``logging``, Lambda's runtime or this module."""
    kind = type(handler)
    return kind in (logging.StreamHandler, LogWriter) or kind.__name__ in _OF_LAMBDA


def _formatter(*, as_json: bool) -> logging.Formatter:
    last: Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            pad_event_to=24,
            # The pretty ones show local variables, and with them payloads.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    return structlog.stdlib.ProcessorFormatter(
        pass_foreign_args=True,
        foreign_pre_chain=[_read_facts],
        processors=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso" if as_json else "%H:%M:%S", utc=as_json),
            structlog.contextvars.merge_contextvars,
            add_job,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.StackInfoRenderer(),
            _format_error,
            *([_name_error] if as_json else []),
            hide_secrets,
            last,
        ],
    )


_show_attempt = structlog.processors.ExceptionRenderer(lambda exc_info: traceback_text(exc_info[1]))


def _format_error(logger: Any, method: str, event: EventDict) -> EventDict:
    """Show the traceback: no local variables, and for a failed attempt no frames of oxcart."""
    show = _show_attempt if "error_type" in event else structlog.processors.format_exc_info
    return show(logger, method, event)


def _name_error(_: Any, __: str, event: EventDict) -> EventDict:
    """Give the text of a failed attempt's error the name that goes with ``error_type``."""
    if "error_type" in event and "reason" in event:
        event.setdefault("error", event["reason"])
    return event


def _read_facts(_: Any, __: str, event: EventDict) -> EventDict:
    """Take a line apart into the event's name and its facts."""
    args = event.pop("positional_args", ())
    record: logging.LogRecord = event["_record"]
    if record.name.partition(".")[0] == _OURS:
        event["event"], facts = read_line(record, args)
        event.update(facts)
    for key, value in extras_of(record).items():
        event.setdefault(key, value)
    return event


def _send_structlog_through_logging() -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
