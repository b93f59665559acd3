"""Hiding secrets in data that is shown."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from oxcart._model.json import JsonValue

REDACTED = "[redacted]"


def redact(value: JsonValue, secrets: AbstractSet[str]) -> JsonValue:
    """A copy of a value in which the members with the given names are replaced, at any depth."""
    if isinstance(value, dict):
        return {
            key: REDACTED if key in secrets and item is not None else redact(item, secrets)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [redact(item, secrets) for item in value]
    return value
