"""Which queue names and job ids are safe.

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
