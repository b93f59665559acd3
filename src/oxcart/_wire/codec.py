"""Bytes to values and back: JSON text of data and results, and whole job hashes.

Source: wire format, section 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from oxcart._model.job import JobRecord
from oxcart._model.json import JsonValue
from oxcart._wire import fields
from oxcart._wire.options_codec import decode_options
from oxcart.errors import PayloadError

MAX_JSON_BYTES = 64 * 1024 * 1024
"""Far more than a job should hold, and well under what a server takes in one argument."""

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[JsonValue] = msgspec.json.Decoder()
_trace_decoder = msgspec.json.Decoder(list[str])


def encode_json(value: object, *, what: str) -> bytes:
    """Write a value as compact JSON.

    Args:
        value: anything JSON can hold; dataclasses and structs too.
        what: what the value is, named in the error.

    Raises:
        PayloadError: JSON cannot hold the value (also NaN and infinity, which Node cannot read),
            or it is too long.
    """
    try:
        encoded = _encoder.encode(value)
    except (TypeError, ValueError, RecursionError, UnicodeError, OverflowError) as error:
        raise PayloadError(f"{what} cannot be written as JSON: {error}") from error
    if len(encoded) > MAX_JSON_BYTES:
        raise PayloadError(
            f"{what} is {len(encoded):,} bytes of JSON, over the limit of {MAX_JSON_BYTES:,}; "
            "keep large data in a file or a table and put its name into the job"
        )
    # msgspec writes NaN and infinity as null; data would change silently on its way.
    if b"null" in encoded and _holds_non_finite(value):
        raise PayloadError(f"{what} holds NaN or infinity, which JSON does not have")
    return encoded


def encode_text(text: str, *, what: str) -> bytes:
    """Write a text as it is sent.

    Raises:
        PayloadError: UTF-8 cannot hold it: it has half of a surrogate pair.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise PayloadError(f"{what} cannot be written as UTF-8: {error}") from error


def decode_json(text: bytes, *, what: str) -> JsonValue:
    """Read JSON.

    Raises:
        PayloadError: the text is not JSON, or is nested too deeply.
    """
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise PayloadError(f"{what} is not readable JSON: {error}") from error


def decode_json_or_text(text: bytes) -> JsonValue:
    """Read JSON, or take the text as it is: for fields that Node tolerates unreadable."""
    try:
        return decode_json(text, what="value")
    except PayloadError:
        return text.decode(errors="replace")


def encode_stacktrace(earlier: tuple[str, ...], trace: str, limit: int | None) -> bytes:
    """Append a traceback to those of earlier attempts, keeping the last ``limit`` (2.1)."""
    traces = [*earlier, trace]
    if limit is not None:
        traces = traces[-limit:] if limit else []
    return _encoder.encode(traces)


def read_job(job_id: str, raw: Mapping[bytes, bytes]) -> JobRecord:
    """Read a job's hash. What cannot be read is told in ``corruption``, never raised."""
    problems: list[str] = []
    get = raw.get

    def read_json(name: bytes, default: JsonValue) -> JsonValue:
        text = get(name)
        if text is None:
            return default
        try:
            return decode_json(text, what=f"the job's {name.decode()}")
        except PayloadError as error:
            problems.append(str(error))
            return default

    data = read_json(fields.DATA, {})
    options, problem = decode_options(get(fields.OPTIONS, b""))
    if problem:
        problems.append(problem)
    return JobRecord(
        id=job_id,
        name=_text(get(fields.NAME)) or "",
        data=data,
        options=options,
        created_at_ms=_int(get(fields.CREATED_AT)) or 0,
        delay_ms=_int(get(fields.DELAY)) or 0,
        priority=_int(get(fields.PRIORITY)) or 0,
        attempts_made=_int(get(fields.ATTEMPTS_MADE_LEGACY) or get(fields.ATTEMPTS_MADE)) or 0,
        attempts_started=_int(get(fields.ATTEMPTS_STARTED)) or 0,
        stalled_count=_int(get(fields.STALLED_COUNT)) or 0,
        processed_at_ms=_int(get(fields.PROCESSED_AT)),
        finished_at_ms=_int(get(fields.FINISHED_AT)),
        progress=read_json(fields.PROGRESS, 0),
        return_value=_json_or_none(get(fields.RETURN_VALUE)),
        failed_reason=_text(get(fields.FAILED_REASON)),
        stacktrace=_stacktrace(get(fields.STACKTRACE)),
        processed_by=_text(get(fields.PROCESSED_BY)),
        parent_key=_text(get(fields.PARENT_KEY)),
        scheduler_id=_text(get(fields.SCHEDULER_ID)),
        deduplication_id=_text(get(fields.DEDUPLICATION_ID)),
        deferred_failure=_text(get(fields.DEFERRED_FAILURE)),
        corruption="; ".join(problems) or None,
    )


def pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    """Turn a flat field-value list of a script's reply into a mapping."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def mapping_of(reply: Any) -> dict[bytes, bytes]:
    """A hash's or a stream entry's fields: the client may have made a mapping of them already."""
    return reply if isinstance(reply, dict) else pairs(reply)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")


def _int(value: bytes | None) -> int | None:
    if not value:
        return None
    try:
        return int(value)
    except ValueError:
        pass
    try:
        return int(float(value))
    except (ValueError, OverflowError):
        return None


def _json_or_none(value: bytes | None) -> JsonValue:
    return None if value is None else decode_json_or_text(value)


def _stacktrace(value: bytes | None) -> tuple[str, ...]:
    if not value:
        return ()
    try:
        return tuple(_trace_decoder.decode(value))
    except (msgspec.DecodeError, UnicodeError):
        return (value.decode(errors="replace"),)


def _holds_non_finite(value: object) -> bool:
    """Whether NaN or infinity stands anywhere in a value."""
    pending = [msgspec.to_builtins(value)]
    while pending:
        item = pending.pop()
        if isinstance(item, float):
            if not math.isfinite(item):
                return True
        elif isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list | tuple):
            pending.extend(item)
    return False
