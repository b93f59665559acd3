"""What stands in the server, in the form in which the vectors record it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import redis

PRIVATE = re.compile(r"[^:]+:[^:]+:oxcart:.+")
"""Keys of oxcart's own, which BullMQ does not know and its tools leave alone."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One key.

    Attributes:
        type: the server's word for it.
        ttl_ms: the time left; ``None`` for ever.
        value: text for a string, a list for a list or a set (sorted), pairs of member and score for
            a sorted set, a mapping for a hash; for a stream its entries, each a flat list.
    """

    type: str
    ttl_ms: int | None
    value: Any


Snapshot = dict[str, Entry]


def take_snapshot(client: redis.Redis) -> Snapshot:
    """Read every key of the database but oxcart's own."""
    keys = [key.decode() for key in client.scan_iter(count=1_000)]
    return {key: _read(client, key) for key in sorted(keys) if not PRIVATE.fullmatch(key)}


def _read(client: Any, key: str) -> Entry:
    kind = client.type(key).decode()
    ttl_ms = client.pttl(key)
    return Entry(kind, ttl_ms if ttl_ms >= 0 else None, _value(client, key, kind))


def _value(client: Any, key: str, kind: str) -> Any:
    match kind:
        case "string":
            return client.get(key).decode()
        case "list":
            return [item.decode() for item in client.lrange(key, 0, -1)]
        case "set":
            return sorted(item.decode() for item in client.smembers(key))
        case "zset":
            pairs = client.zrange(key, 0, -1, withscores=True)
            return [[member.decode(), float(score)] for member, score in pairs]
        case "hash":
            return {name.decode(): text.decode() for name, text in client.hgetall(key).items()}
        case "stream":
            return [_flat(fields) for _, fields in client.xrange(key)]
        case _:
            raise AssertionError(f"{key} is a {kind}")


def _flat(fields: dict[bytes, bytes]) -> list[str]:
    return [item.decode() for pair in fields.items() for item in pair]
