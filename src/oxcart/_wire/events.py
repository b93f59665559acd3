"""The events of a queue's stream, read into values.

Source: wire format, section 6.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from oxcart._model.json import JsonValue
from oxcart._wire.codec import decode_json_or_text

EVENT_FIELD = "event"
"""The field of an entry that holds the event's name (section 6)."""


class EventName(StrEnum):
    """Events that BullMQ knows. Custom ones have names of their own."""

    ADDED = "added"
    WAITING = "waiting"
    DELAYED = "delayed"
    WAITING_CHILDREN = "waiting-children"
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    RETRIES_EXHAUSTED = "retries-exhausted"
    STALLED = "stalled"
    PROGRESS = "progress"
    DUPLICATED = "duplicated"
    DEDUPLICATED = "deduplicated"
    REMOVED = "removed"
    CLEANED = "cleaned"
    DRAINED = "drained"
    PAUSED = "paused"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEvent:
    """One entry of a queue's event stream. Its ``repr`` leaves ``data`` out, as others' do.

    Attributes:
        id: the entry's id; reading may be resumed after it.
        name: an ``EventName``, or a custom event's name.
        job_id: the job concerned, if the event is about one.
        data: the entry's other fields; return values and progress are decoded.
    """

    id: str
    name: str
    job_id: str | None = None
    data: dict[str, JsonValue] = field(default_factory=dict, repr=False)


_JSON_FIELDS = {(EventName.COMPLETED, "returnvalue"), (EventName.PROGRESS, "data")}


def read_event(entry_id: bytes, fields: dict[bytes, bytes]) -> QueueEvent:
    """Read a stream entry. A value that should be JSON and is not is given as its text."""
    texts = {_text(name): value for name, value in fields.items()}
    name = _text(texts.pop(EVENT_FIELD, b""))
    job_id = texts.pop("jobId", None)
    return QueueEvent(
        id=_text(entry_id),
        name=name,
        job_id=None if job_id is None else _text(job_id),
        data={key: _read_field(name, key, value) for key, value in texts.items()},
    )


def _read_field(event: str, key: str, value: bytes) -> JsonValue:
    if (event, key) in _JSON_FIELDS:
        return decode_json_or_text(value)
    if event == EventName.DELAYED and key == "delay":
        return _whole(value)
    return _text(value)


def _whole(value: bytes) -> JsonValue:
    try:
        return int(float(value))
    except (ValueError, OverflowError):
        return _text(value)


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
