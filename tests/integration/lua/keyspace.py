"""A queue's keys as a table: written before a script runs, read after it.

A value's Python type says what the key is: ``str`` a string, ``list`` a list, ``set`` a set, a
``dict`` of texts a hash, a ``dict`` of numbers a sorted set. A stream is read as a list of tuples.
"""

from __future__ import annotations

import json
from typing import Any

import redis

from oxcart._model.registry import ProcessInfo, WorkerRecord
from oxcart._store.call import Call
from oxcart._store.location import Location
from oxcart._store.store import Store
from oxcart._wire.keys import QueueKeys

NOW = 1_700_000_000_000
STEP = 4_096
"""How much of a delayed job's score one millisecond is."""
PRIORITY = 2**32

Table = dict[str, Any]


class FixedClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.ms = NOW

    def now_ms(self) -> int:
        return self.ms


def job(**changes: str) -> dict[str, str]:
    """A job's hash as an add leaves it."""
    return {
        "name": "n", "data": "{}", "opts": '{"attempts":0}', "timestamp": str(NOW), "delay": "0",
        "priority": "0", **changes,
    }  # fmt: skip


class Keyspace:
    """The keys of one queue.

    Args:
        client: the server.
        keys: the queue.
        store: what sends the calls.
    """

    def __init__(self, client: redis.Redis, keys: QueueKeys, store: Store) -> None:
        self.client = client
        self.keys = keys
        self.clock = FixedClock()
        self.store = store

    def beside(self, queue: str) -> Keyspace:
        """Another queue of the same prefix, with the same clock."""
        other = Keyspace(self.client, QueueKeys(self.keys.prefix, queue), self.store)
        other.clock = self.clock
        return other

    async def run(self, call: Call[Any]) -> Any:
        """Send a call."""
        return await self.store.run(call)

    def write(self, table: Table) -> None:
        """Put keys in, by their suffixes."""
        for suffix, value in table.items():
            self._write(self.keys.base + suffix, value)

    def read(self, *, without: str = "meta events") -> Table:
        """Every key but those left out and oxcart's own, by their suffixes."""
        found = {
            key.decode().removeprefix(self.keys.base): key.decode()
            for key in self.client.scan_iter(match=f"{self.keys.base}*", count=1_000)
        }
        left_out = set(without.split())
        return {
            suffix: self._read(key)
            for suffix, key in sorted(found.items())
            if suffix not in left_out and not suffix.startswith("oxcart:")
        }

    def events(self) -> list[tuple[str, ...]]:
        """The events, each a tuple of its name and its fields' values."""
        entries: Any = self.client.xrange(self.keys.events)
        return [tuple(value.decode() for value in fields.values()) for _, fields in entries]

    def ttl_ms(self, suffix: str) -> int:
        """The time that a key has left; negative without an expiry."""
        left: Any = self.client.pttl(self.keys.base + suffix)
        return int(left)

    def _write(self, key: str, value: Any) -> None:
        client: Any = self.client
        match value:
            case str():
                client.set(key, value)
            case list():
                client.rpush(key, *value)
            case set():
                client.sadd(key, *value)
            case dict() if all(isinstance(item, str) for item in value.values()):
                client.hset(key, mapping=value)
            case _:
                client.zadd(key, value)

    def _read(self, key: str) -> Any:
        client: Any = self.client
        match client.type(key):
            case b"string":
                return client.get(key).decode()
            case b"list":
                return [item.decode() for item in client.lrange(key, 0, -1)]
            case b"set":
                return {item.decode() for item in client.smembers(key)}
            case b"zset":
                pairs = client.zrange(key, 0, -1, withscores=True)
                return {member.decode(): score for member, score in pairs}
            case b"hash":
                return {name.decode(): item.decode() for name, item in client.hgetall(key).items()}
            case kind:
                raise AssertionError(f"{key} is a {kind}")


def child(parent: Keyspace, parent_id: str, *, flag: str = "", **changes: str) -> dict[str, str]:
    """The hash of a job that has a parent; ``flag`` is its policy's."""
    link: dict[str, Any] = {"id": parent_id, "queueKey": parent.keys.base.removesuffix(":")}
    if flag:
        link[flag] = True
    return job(
        parentKey=parent.keys.job(parent_id),
        parent=json.dumps(link, separators=(",", ":")),
        **changes,
    )


def record(**changes: Any) -> WorkerRecord:
    """The record of a registered worker."""
    given: dict[str, Any] = {
        "holder": "0123456789abcdef", "name": "worker", "process": ProcessInfo(host="h", pid=7),
        "queues": ("q",), "job_names": ("n",), "concurrency": 1, "lock_ms": 30_000,
        "max_stalled": 1, "version": "1", **changes,
    }  # fmt: skip
    return WorkerRecord(**given)


def make_store(url: str) -> Store:
    """A store for a test's calls."""
    return Store(Location.at(url))
