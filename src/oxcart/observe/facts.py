"""The facts of a log line: one event name, and what it says about it by name.

The engine's lines are texts of the form ``event key=%s key=%s: %s``, so that they can be read with
the standard library's logging alone. Their template tells which argument is which fact.
"""

from __future__ import annotations

import functools
import logging
import re
from dataclasses import dataclass
from typing import Any

_TEMPLATE = re.compile(
    r"(?P<event>[a-z_]+(?:\.(?:[a-z_]|%s)+)+)(?P<facts>(?: (?:[a-z_]+=%[sdg]|%s))*)"
    r"(?:: (?P<rest>.+))?",
    re.DOTALL,
)
_FACT = re.compile(r" (?:([a-z_]+)=)?%[sdg]")
_SUBJECT = re.compile(r"(?:^| )(queue|job_id|name|scheduler_id)=")
"""What begins a fact in the text that names a job."""


_STANDARD = frozenset(
    {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "_logger", "_name"}
)
"""What a record has without anybody's ``extra``."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A template, read.

    Attributes:
        event: the event's name, which may need an argument.
        keys: the names of the facts; ``None`` for a text that names a job.
        rest: the template of what follows.
    """

    event: str
    keys: tuple[str | None, ...]
    rest: str | None


def read_line(record: logging.LogRecord, args: Any = None) -> tuple[str, dict[str, Any]]:
    """The event of a log record of oxcart's own, and its facts.

    Args:
        record: the record; its message is the event if it has not the form.
        args: the message's arguments, instead of the record's.
    """
    args = record.args if args is None else args
    line = _read_template(record.msg) if isinstance(record.msg, str) else None
    if line is None or not isinstance(args, tuple):
        return _message(record, args), {}
    try:
        return _fill(line, args)
    except (TypeError, ValueError, IndexError):
        return _message(record, args), {}


def extras_of(record: logging.LogRecord) -> dict[str, Any]:
    """What was given with a record as ``extra``."""
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def _message(record: logging.LogRecord, args: Any) -> str:
    try:
        return str(record.msg) % args if args else str(record.msg)
    except (TypeError, ValueError):
        return str(record.msg)


def _fill(line: _Line, args: tuple[Any, ...]) -> tuple[str, dict[str, Any]]:
    in_event = line.event.count("%s")
    event, rest = line.event % args[:in_event], args[in_event:]
    facts: dict[str, Any] = {}
    for key, value in zip(line.keys, rest, strict=False):
        facts.update(_facts_of_subject(str(value)) if key is None else {key: value})
    if len(rest) < len(line.keys):
        raise IndexError(line.event)
    if line.rest is not None:
        facts["reason"] = line.rest % rest[len(line.keys) :]
    if "job_id" in facts and "name" in facts:
        facts["job_name"] = facts.pop("name")
    return event, facts


def _facts_of_subject(subject: str) -> dict[str, str]:
    """The facts of a text such as ``queue=email job_id=7 name=welcome``."""
    parts = _SUBJECT.split(subject)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@functools.lru_cache(maxsize=512)
def _read_template(template: str) -> _Line | None:
    found = _TEMPLATE.fullmatch(template)
    if found is None:
        return None
    keys = tuple(key or None for key in _FACT.findall(found["facts"]))
    return _Line(found["event"], keys, found["rest"])
