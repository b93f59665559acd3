"""The backoff of a job whose type is not built in: BullMQ's custom strategies.

Source: wire format, section 7.6. The options' codec knows the built-in types alone; this is read
only when an attempt of such a job has failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from oxcart._wire import fields

LONGEST_MS = 2**53


@dataclass(frozen=True, slots=True)
class NamedBackoff:
    """A type of backoff that a strategy of the worker stands for.

    Attributes:
        name: the type, such as ``custom``.
        delay_ms: the delay that was given with it, or 0.
    """

    name: str
    delay_ms: int = 0


class _Backoff(msgspec.Struct):
    type: str
    delay: object = None


class _Options(msgspec.Struct):
    backoff: _Backoff


_decoder = msgspec.json.Decoder(_Options)


def read_named_backoff(raw: Mapping[bytes, bytes]) -> NamedBackoff | None:
    """Read the backoff's type from a job's hash; nothing if it names none."""
    try:
        backoff = _decoder.decode(raw.get(fields.OPTIONS, b"")).backoff
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
    return NamedBackoff(backoff.type, _whole(backoff.delay))


def _whole(delay: object) -> int:
    if isinstance(delay, bool) or not isinstance(delay, int | float):
        return 0
    return max(0, int(min(delay, LONGEST_MS)))
