"""Bytes to values and back: JSON text of data and results, and whole job hashes.

Source: wire format, section 2.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from oxcart._model.ids import MAX_NAME_LENGTH, check_job_name
from oxcart._model.job import JobRecord, made_of
from oxcart._model.json import JsonValue
from oxcart._model.unknown import UnknownJob
from oxcart._wire import fields
from oxcart._wire.options_codec import decode_options
from oxcart.errors import PayloadError

MAX_JSON_BYTES = 64 * 1024 * 1024
"""Far more than a job should hold, and well under what a server takes in one argument."""

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[JsonValue] = msgspec.json.Decoder()
_unknown_decoder = msgspec.json.Decoder(UnknownJob)
_trace_decoder = msgspec.json.Decoder(list[str])

# JavaScript writes half of a surrogate pair, as of an emoji that was cut, as an escape; Node itself
# replaces it with U+FFFD where it needs UTF-8.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def encode_json(value: object, *, what: str) -> bytes:
    """Write a value as compact JSON.

    Args:
        value: anything JSON can hold; dataclasses and structs too.
        what: what the value is, named in the error.

    Raises:
        PayloadError: JSON cannot hold the value (also NaN and infinity, which Node cannot read),
            or it is too long.
    """
    if value is None:
        return b"null"
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


def encode_job_name(name: str) -> bytes:
    """Write the name of a job that is added.

    Raises:
        ConfigError: it is too long or holds a control character.
        PayloadError: UTF-8 cannot hold it.
    """
    if not name.isprintable() or len(name) > MAX_NAME_LENGTH:
        check_job_name(name)
    return encode_text(name, what="the job's name")


def decode_json(text: bytes, *, what: str) -> JsonValue:
    """Read JSON.

    Raises:
        PayloadError: the text is not JSON, or is nested too deeply.
    """
    try:
        return _read_json(text)
    except PayloadError as error:
        raise PayloadError(f"{what} {error}") from error.__cause__


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


def encode_unknown(unknown: UnknownJob) -> bytes:
    """Write why a job was put back."""
    return _encoder.encode(unknown)


def read_job(job_id: str, raw: Mapping[bytes, bytes]) -> JobRecord:
    """Read a job's hash. What cannot be read is told in ``corruption``, never raised."""
    options, problem = decode_options(raw.get(fields.OPTIONS, b""))
    values: dict[str, Any] = {"id": job_id, "name": "", "data": {}, "options": options}
    problems = [problem] if problem else []
    for field, text in raw.items():
        reader = _READERS.get(field)
        if reader is None:
            continue
        name, read, read_carefully = reader
        try:
            values[name] = read(text)
        except _UNREADABLE:
            try:
                values[name] = read_carefully(text)
            except PayloadError as error:
                problems.append(f"the job's {field.decode()} {error}")
    if fields.ATTEMPTS_MADE_LEGACY in raw:
        legacy = raw[fields.ATTEMPTS_MADE_LEGACY] or raw.get(fields.ATTEMPTS_MADE, b"")
        values["attempts_made"] = _count(legacy)
    if problems:
        values["corruption"] = "; ".join(problems)
    return made_of(JobRecord, values)


def pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    """Turn a flat field-value list of a script's reply into a mapping."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def mapping_of(reply: Any) -> dict[bytes, bytes]:
    """A hash's or a stream entry's fields: the client may have made a mapping of them already."""
    return reply if isinstance(reply, dict) else pairs(reply)


def _read_json(text: bytes) -> JsonValue:
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        mended = _ESCAPE.sub(_without_half_pair, text)
        if mended != text:
            return _read_json(mended)
        raise PayloadError(f"is not readable JSON: {error}") from error


def _without_half_pair(escape: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if escape["half"] else escape[0]


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def _int(value: bytes) -> int | None:
    try:
        return int(value)
    except ValueError:
        pass
    try:
        return int(float(value))
    except (ValueError, OverflowError):
        return None


def _count(value: bytes) -> int:
    return _int(value) or 0


def decode_stacktrace(value: bytes) -> tuple[str, ...]:
    """Read the tracebacks of a job; a text that is not a list of them counts as one (2.1)."""
    if not value:
        return ()
    try:
        return tuple(_trace_decoder.decode(value))
    except (msgspec.DecodeError, UnicodeError):
        return (value.decode(errors="replace"),)


def _unknown(value: bytes) -> UnknownJob | None:
    """Read why a job was put back; a note that another release wrote in another form counts not."""
    try:
        return _unknown_decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeError):
        return None


_UNREADABLE = (ValueError, msgspec.MsgspecError, RecursionError)
_Reader = Callable[[bytes], Any]
_INT: tuple[_Reader, _Reader] = (int, _int)
_COUNT: tuple[_Reader, _Reader] = (int, _count)
_TEXT: tuple[_Reader, _Reader] = (bytes.decode, _text)
_JSON: tuple[_Reader, _Reader] = (_decoder.decode, _read_json)
_READERS: dict[bytes, tuple[str, _Reader, _Reader]] = {
    fields.NAME: ("name", *_TEXT),
    fields.DATA: ("data", *_JSON),
    fields.CREATED_AT: ("created_at_ms", *_COUNT),
    fields.DELAY: ("delay_ms", *_COUNT),
    fields.PRIORITY: ("priority", *_COUNT),
    fields.ATTEMPTS_MADE: ("attempts_made", *_COUNT),
    fields.ATTEMPTS_STARTED: ("attempts_started", *_COUNT),
    fields.STALLED_COUNT: ("stalled_count", *_COUNT),
    fields.PROCESSED_AT: ("processed_at_ms", *_INT),
    fields.FINISHED_AT: ("finished_at_ms", *_INT),
    fields.PROGRESS: ("progress", *_JSON),
    fields.RETURN_VALUE: ("return_value", _decoder.decode, decode_json_or_text),
    fields.FAILED_REASON: ("failed_reason", *_TEXT),
    fields.STACKTRACE: ("stacktrace", decode_stacktrace, decode_stacktrace),
    fields.PROCESSED_BY: ("processed_by", *_TEXT),
    fields.PARENT_KEY: ("parent_key", *_TEXT),
    fields.SCHEDULER_ID: ("scheduler_id", *_TEXT),
    fields.DEDUPLICATION_ID: ("deduplication_id", *_TEXT),
    fields.DEFERRED_FAILURE: ("deferred_failure", *_TEXT),
    fields.UNKNOWN: ("unknown", _unknown, _unknown),
    fields.UNRUN_COUNT: ("unrun_count", *_COUNT),
}
"""Each field of a job's hash: the record's name of it, how it is read, and how with care, if that
failed. A field that is not there is the record's default."""


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
