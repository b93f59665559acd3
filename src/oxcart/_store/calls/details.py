"""A job's data, progress and log."""

from __future__ import annotations

from typing import Any

from oxcart._model.job import JobLogs
from oxcart._store.call import Call, command, script_call
from oxcart._wire.keys import QueueKeys


def update_data(keys: QueueKeys, job_id: str, data: bytes) -> Call[int]:
    """Replace a job's data; answers a code. Source: wire format, section 7.16."""
    return script_call("update_data", (keys.job(job_id),), (data,), int, is_repeatable=True)


def update_progress(keys: QueueKeys, job_id: str, progress: bytes) -> Call[int]:
    """Keep a job's progress; answers a code. Source: wire format, section 7.16."""
    return script_call(
        "update_progress",
        (keys.job(job_id), keys.meta, keys.events),
        (job_id, progress),
        int,
        is_repeatable=True,
    )


def add_log(keys: QueueKeys, job_id: str, row: str, *, keep: int | None) -> Call[int]:
    """Append a log row; answers how many are kept, or a code. Source: wire format, section 7.16."""
    return script_call(
        "add_log",
        (keys.job(job_id), keys.logs(job_id)),
        (row.encode(errors="replace"), "" if keep is None else keep),
        int,
    )


def clear_logs(keys: QueueKeys, job_id: str, *, keep: int) -> Call[None]:
    """Drop all but the last ``keep`` rows. Source: wire format, section 7.16."""
    logs = keys.logs(job_id)
    words = ("LTRIM", logs, -keep, -1) if keep else ("DEL", logs)
    return command(words, lambda _: None)


def read_logs(keys: QueueKeys, job_id: str, start: int, end: int) -> tuple[Call[Any], Call[int]]:
    """A page of rows, and how many there are; see ``logs_of``."""
    logs = keys.logs(job_id)
    return command(("LRANGE", logs, start, end), list), command(("LLEN", logs), int)


def logs_of(rows: list[bytes], count: int) -> JobLogs:
    """Put the two replies of ``read_logs`` together."""
    return JobLogs(tuple(row.decode(errors="replace") for row in rows), count)
