"""Options as a vector's steps have them (BullMQ's names) as oxcart's values."""

from __future__ import annotations

from typing import Any

from oxcart import Backoff, JobOptions, JobSpec, Retention
from oxcart.errors import ConfigError

SUPPORTED = {
    "attempts",
    "backoff",
    "delay",
    "jobId",
    "keepLogs",
    "lifo",
    "priority",
    "removeOnComplete",
    "removeOnFail",
    "sizeLimit",
    "stackTraceLimit",
    "timestamp",
}


def spec_of(step: dict[str, Any]) -> JobSpec:
    """The job that a step adds. An option without a value in the step is BullMQ's default."""
    options = step.get("opts") or {}
    return JobSpec(name=step["name"], data=step.get("data", {}), options=options_of(options))


def options_of(options: dict[str, Any]) -> JobOptions:
    """The options of a step.

    Raises:
        ConfigError: as BullMQ's own client refuses them.
    """
    return JobOptions(
        job_id=options.get("jobId"),
        delay=f"{options['delay']}ms" if options.get("delay") else None,
        priority=options.get("priority", 0),
        lifo=options.get("lifo", False),
        attempts=options.get("attempts", 0),
        backoff=_backoff(options.get("backoff")),
        keep_completed=retention_of(options.get("removeOnComplete")),
        keep_failed=retention_of(options.get("removeOnFail")),
        stacktrace_limit=options.get("stackTraceLimit"),
        size_limit=options.get("sizeLimit"),
        log_limit=options.get("keepLogs"),
    )


def retention_of(keep: Any) -> Retention | None:
    """What ``removeOnComplete`` and ``removeOnFail`` mean."""
    match keep:
        case None:
            return None
        case True:
            return Retention.NONE
        case False:
            return Retention.ALL
        case int():
            return Retention(count=keep)
        case _:
            age = keep.get("age")
            return Retention(count=keep.get("count"), age=None if age is None else f"{age}s")


def _backoff(backoff: Any) -> Backoff | None:
    if backoff is None:
        return None
    if isinstance(backoff, int):
        return Backoff(kind="fixed", delay_ms=backoff)
    if backoff["type"] not in ("fixed", "exponential"):
        raise ConfigError(f"no backoff {backoff['type']!r}")
    return Backoff(
        kind=backoff["type"], delay_ms=backoff["delay"], jitter=backoff.get("jitter", 0.0)
    )
