"""What really stands in the server: every key of a prefix, at one instant, as plain values."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis

_PICTURE = """
local picture = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. ':*')) do
  local kind = redis.call('TYPE', key).ok
  local value
  if string.find(key, ':oxcart:', 1, true) then -- packed, and nobody else's
    kind, value = 'string', ''
  elseif kind == 'list' then
    value = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'zset' then
    value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'hash' then
    value = redis.call('HGETALL', key)
  elseif kind == 'set' then
    value = redis.call('SMEMBERS', key)
  elseif kind == 'string' then
    value = redis.call('GET', key)
  else
    value = redis.call('XRANGE', key, ARGV[2], '+')
  end
  picture[#picture + 1] = { key, kind, value, redis.call('PTTL', key) }
end
return picture
"""


@dataclass(frozen=True, slots=True)
class Key:
    """A key's value in plain types, and whether it has an expiry."""

    value: Any
    expires: bool


Picture = dict[str, Key]
"""Keys without the prefix."""


def take_picture(client: redis.Redis, prefix: str, *, events_after: str) -> Picture:
    """Read every key of a prefix; of the streams, what came after an entry."""
    reply: Any = client.eval(_PICTURE, 0, prefix, f"({events_after}")
    return {
        _text(key).removeprefix(f"{prefix}:"): Key(_READERS[kind](value), left >= 0)
        for key, kind, value, left in reply
    }


def policy_of(fields: dict[str, str]) -> str | None:
    """The policy in a child's link to its parent."""
    flags = {"fpof": "fail", "cpof": "continue", "idof": "ignore", "rdof": "remove"}
    link = json.loads(fields.get("parent", "{}"))
    return next((policy for flag, policy in flags.items() if link.get(flag)), None)


def _text(value: bytes) -> str:
    return value.decode()


def _pairs(flat: list[bytes]) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}


_READERS: dict[bytes, Callable[[Any], Any]] = {
    b"list": lambda value: [_text(item) for item in value],
    b"zset": lambda value: {name: float(score) for name, score in _pairs(value).items()},
    b"hash": _pairs,
    b"set": lambda value: {_text(item) for item in value},
    b"string": _text,
    b"stream": lambda value: [(_text(entry), _pairs(flat)) for entry, flat in value],
}
