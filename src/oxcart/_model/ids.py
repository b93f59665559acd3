"""Which prefixes, queue names, job names and job ids are safe.

A job's id shares the key space with the queue's own keys: an id such as ``active`` would brick the
queue (wire format, section 3).
"""

from __future__ import annotations

import re

from oxcart.errors import ConfigError

RESERVED_IDS = frozenset(
    {
        "active", "completed", "de", "delay", "delayed", "dn", "events", "failed", "id", "limiter",
        "marker", "meta", "metrics", "oxcart", "paused", "pc", "prioritized", "priority", "repeat",
        "stalled", "stalled-check", "wait", "waiting-children",
    }
)  # fmt: skip
"""Suffixes of the queue's own keys (wire format, section 1.2), and ours."""

_INTEGER = re.compile(r"0|-?[1-9]\d*")
_SCHEDULED = re.compile(r"repeat:.+:\d+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_LENGTH = 200
MAX_NAME_LENGTH = 1_000
"""The longest name of a job that is added; it is repeated in events, logs and registries."""
_NOT_IN_A_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NOT_IN_A_PREFIX = re.compile(r"[\x00-\x1f\x7f-\x9f*?\[\]\\]")
_SHOWN_CHARS = 60


def check_queue_name(name: str) -> str:
    """Return the name if it can be a queue's.

    Raises:
        ConfigError: it is empty, too long, or holds ``:`` or a control character.
    """
    try:
        is_wrong = not name or len(name) > _MAX_LENGTH or ":" in name or _CONTROL.search(name)
    except TypeError:  # no text
        is_wrong = True
    if is_wrong:
        raise ConfigError(
            f"queue name {name!r} must be 1 to {_MAX_LENGTH} characters without ':' "
            "and control characters"
        )
    return name


def check_prefix(prefix: str) -> str:
    """Return the prefix if keys can begin with it.

    Raises:
        ConfigError: it is empty, too long, or holds a control character or what is a pattern where
            keys are searched.
    """
    try:
        is_wrong = not 1 <= len(prefix) <= _MAX_LENGTH or _NOT_IN_A_PREFIX.search(prefix)
    except TypeError:  # no text
        is_wrong = True
    if is_wrong:
        raise ConfigError(
            f"prefix {_shown(prefix)} must be 1 to {_MAX_LENGTH} characters without control "
            "characters and without * ? [ ] \\"
        )
    return prefix


def check_job_name(name: str) -> None:
    """Check the name of a job that is added; names that Node wrote are read as they are.

    Raises:
        ConfigError: it is too long, or holds a control character or a line separator.
    """
    if len(name) > MAX_NAME_LENGTH or _NOT_IN_A_NAME.search(name):
        raise ConfigError(
            f"job name {_shown(name)} must be at most {MAX_NAME_LENGTH:,} characters without "
            "control characters; the job was not added"
        )


def check_job_id(job_id: str) -> str:
    """Return the id if a caller may choose it.

    Raises:
        ConfigError: the id looks like an integer, holds ``:`` or a control character, is too
            long, or is the name of one of the queue's own keys.
    """
    try:
        problem = _problem_of_id(job_id)
    except TypeError:
        problem = "must be text"
    if problem:
        raise ConfigError(f"job id {job_id!r} {problem}; the job was not added")
    return job_id


def is_readable_id(job_id: str) -> bool:
    """Whether an id may be looked up: counters and schedulers' ids may, reserved names may not.

    Raises:
        ConfigError: it is no text.
    """
    try:
        if _SCHEDULED.fullmatch(job_id):
            return True
    except TypeError:
        raise ConfigError(f"job id {job_id!r} must be text, as a job's own id is") from None
    return bool(job_id) and job_id not in RESERVED_IDS and ":" not in job_id


def _shown(value: object) -> str:
    """A value for an error, cut if it is long."""
    if isinstance(value, str) and len(value) > _SHOWN_CHARS:
        return f"{value[:_SHOWN_CHARS]!r}... ({len(value):,} characters)"
    return repr(value)


def _problem_of_id(job_id: str) -> str | None:
    if not 1 <= len(job_id) <= _MAX_LENGTH:
        return f"must be 1 to {_MAX_LENGTH} characters"
    if _INTEGER.fullmatch(job_id):
        return "looks like an integer, which only the queue's own counter may give"
    if ":" in job_id:
        return "contains ':', which separates keys"
    if _CONTROL.search(job_id):
        return "contains a control character"
    if job_id in RESERVED_IDS:
        return "is the name of one of the queue's own keys"
    return None
