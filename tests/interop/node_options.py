"""Options as a vector's steps have them (BullMQ's names) as oxcart's values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.interop.registry import JOB_OPTIONS

from oxcart import Backoff, Deduplication, JobOptions, JobSpec, ParentPolicy, ParentRef, Retention
from oxcart._model.clock import epoch_ms
from oxcart.errors import ConfigError

_POLICIES: dict[str, ParentPolicy] = {
    "failParentOnFailure": "fail",
    "continueParentOnFailure": "continue",
    "ignoreDependencyOnFailure": "ignore",
    "removeDependencyOnFailure": "remove",
}
_RETENTION = ("removeOnComplete", "removeOnFail")
_RETENTION_PARTS = {"age", "count", "limit"}


def spec_of(job: dict[str, Any]) -> JobSpec:
    """The job that a step adds. Without data it is BullMQ's ``undefined``."""
    return JobSpec(
        name=job["name"], data=job.get("data", {}), options=options_of(job.get("opts") or {})
    )


def options_of(given: dict[str, Any]) -> JobOptions:
    """The options of a step; one that it does not give is BullMQ's default.

    Raises:
        ConfigError: oxcart refuses a value.
        TypeError: oxcart does not have an option.
    """
    translated = {
        "job_id": given.get("jobId"),
        "delay": f"{given['delay']}ms" if "delay" in given else None,
        "priority": given.get("priority", 0),
        "lifo": given.get("lifo", False),
        "attempts": given.get("attempts", 0),
        "backoff": _backoff(given.get("backoff")),
        "keep_completed": retention_of(given.get("removeOnComplete")),
        "keep_failed": retention_of(given.get("removeOnFail")),
        "timestamp": _instant(given.get("timestamp")),
        "stacktrace_limit": given.get("stackTraceLimit"),
        "size_limit": given.get("sizeLimit"),
        "log_limit": given.get("keepLogs"),
        "parent": _parent(given.get("parent")),
        "parent_on_failure": _policy(given),
        "deduplication": _deduplication(given.get("deduplication")),
        "telemetry_metadata": given.get("telemetry", {}).get("metadata"),
        "omit_telemetry_context": given.get("telemetry", {}).get("omitContext", False),
    }
    unknown = {name: value for name, value in given.items() if name not in JOB_OPTIONS}
    return JobOptions(**translated, **unknown)


def unsupported(given: dict[str, Any]) -> set[str]:
    """The options, and parts of options, that oxcart does not have."""
    names = set(given) - JOB_OPTIONS
    for name in _RETENTION:
        if isinstance(keep := given.get(name), dict):
            names |= {f"{name}.{part}" for part in keep.keys() - _RETENTION_PARTS}
    backoff = given.get("backoff")
    if isinstance(backoff, dict) and backoff["type"] not in ("fixed", "exponential"):
        names.add("backoff.type")
    return names


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
            return Retention(
                count=keep.get("count"),
                age=None if age is None else f"{age}s",
                limit=keep.get("limit"),
            )


def _parent(parent: dict[str, str] | None) -> ParentRef | None:
    if parent is None:
        return None
    prefix, _, queue = parent["queue"].rpartition(":")
    return ParentRef(queue=queue, id=parent["id"], prefix=prefix)


def _policy(given: dict[str, Any]) -> ParentPolicy | None:
    chosen = [policy for name, policy in _POLICIES.items() if given.get(name)]
    if len(chosen) > 1:
        raise ConfigError("oxcart has one option for the four, which cannot hold two")
    return chosen[0] if chosen else None


def _deduplication(given: dict[str, Any] | None) -> Deduplication | None:
    if given is None:
        return None
    ttl = given.get("ttl")
    return Deduplication(
        id=given.get("id", ""),
        ttl=None if ttl is None else f"{ttl}ms",
        extend=given.get("extend", False),
        replace=given.get("replace", False),
        reschedule=given.get("reschedule", False),
        keep_last_if_active=given.get("keepLastIfActive", False),
    )


def _backoff(backoff: Any) -> Backoff | None:
    match backoff:
        case None:
            return None
        case int():
            return Backoff(kind="fixed", delay_ms=backoff)
        case _:
            return Backoff(
                kind=backoff["type"], delay_ms=backoff["delay"], jitter=backoff.get("jitter", 0.0)
            )


def _instant(ms: int | None) -> datetime | None:
    if ms is None:
        return None
    instant = datetime.fromtimestamp(ms / 1_000, UTC)
    assert epoch_ms(instant) == ms
    return instant
