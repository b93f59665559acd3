"""Compares what stands in the server with what a vector recorded; tells every difference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.interop.matching import (
    event_matches,
    hash_matches,
    matches,
    score_matches,
    text_matches,
)
from tests.interop.snapshot import Entry, Snapshot
from tests.interop.vectors import Vector

TTL_SLACK_MS = 10_000
"""How much of an expiry may have run out meanwhile; records have it rounded up to a second."""


def differences(vector: Vector, found: Snapshot) -> list[str]:
    """Every difference to a vector's keys and events, normalised and exact."""
    told = [
        *_key_differences(vector.keys, found, are_merged=bool(vector.exact)),
        *_event_differences(vector.events, found),
    ]
    if vector.exact:
        without_streams = {key: entry for key, entry in found.items() if entry.type != "stream"}
        exact = [
            *_key_differences(vector.exact["keys"], without_streams),
            *_event_differences(vector.exact.get("events", {}), found),
        ]
        told += [f"exact: {difference}" for difference in exact]
    return told


def _key_differences(
    recorded: dict[str, Any], found: Snapshot, *, are_merged: bool = False
) -> Iterator[str]:
    """Differences key by key.

    Args:
        recorded: the record's keys.
        found: what is there.
        are_merged: keys that differ in a token alone are one in this record, which has the last of
            them; another record has them all.
    """
    left = dict(found)
    for key, entry in recorded.items():
        names = _find_all(key, left)[: None if are_merged else 1]
        if not names:
            yield f"{key} is missing"
            continue
        told = [list(_entry_differences(name, entry, left.pop(name))) for name in names]
        yield from min(told, key=len)
    for key, surplus in left.items():
        yield f"{key} should not be there: {surplus.value}"


def _find(key: str, found: Snapshot) -> str | None:
    return next(iter(_find_all(key, found)), None)


def _find_all(key: str, found: Snapshot) -> list[str]:
    if key in found:
        return [key]
    return [name for name in found if text_matches(key, name)]


def _entry_differences(key: str, recorded: dict[str, Any], found: Entry) -> Iterator[str]:
    if recorded["type"] != found.type:
        yield f"{key} is a {found.type}, not a {recorded['type']}"
        return
    if recorded["ttl"] != (found.ttl_ms is not None):
        yield f"{key} expires: {found.ttl_ms is not None}, recorded: {recorded['ttl']}"
    elif "ttlMs" in recorded and not _is_about(recorded["ttlMs"], found.ttl_ms or 0):
        yield f"{key} expires in {found.ttl_ms} ms, recorded: {recorded['ttlMs']}"
    if "value" in recorded and not _value_matches(found.type, recorded["value"], found.value):
        yield f"{key} is {found.value}, recorded: {recorded['value']}"


def _is_about(recorded_ms: int, found_ms: int) -> bool:
    return recorded_ms - TTL_SLACK_MS <= found_ms <= recorded_ms


def _value_matches(kind: str, recorded: Any, found: Any) -> bool:
    match kind:
        case "hash":
            return hash_matches(recorded, found)
        case "zset":
            return len(recorded) == len(found) and all(
                text_matches(member, name) and score_matches(score, value)
                for (member, score), (name, value) in zip(recorded, found, strict=True)
            )
        case _:
            return matches(recorded, found)


def _event_differences(recorded: dict[str, list[Any]], found: Snapshot) -> Iterator[str]:
    for key, entries in recorded.items():
        name = _find(key, found)
        events = found[name].value if name is not None else []
        if len(events) != len(entries) or not all(map(event_matches, entries, events)):
            yield f"{key} has the events {events}, recorded: {entries}"
