"""Worker processes of both kinds on one queue, and what is seen of them from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import redis
from tests.interop.live.node_side import NodeSide
from tests.interop.live.oxcart_side import OxcartSide, WorkerProcess
from tests.partition import check_partition
from tests.support import wait_until

CONCURRENCY = 10
LOCK_MS, STALLED_MS, STALLS = 5_000, 1_000, 1_000


@dataclass
class Fleet:
    """Worker processes of both kinds, by their names.

    Attributes:
        major: the release of BullMQ.
    """

    major: int
    start_node: Callable[[int], NodeSide]
    oxcart_side: OxcartSide
    _nodes: dict[str, NodeSide] = field(default_factory=dict)
    _oxcarts: dict[str, WorkerProcess] = field(default_factory=dict)

    async def start(self, kind: str) -> str:
        """Start a worker process: ``node`` or ``oxcart``; gives its name."""
        name = f"{kind}-{len(self._nodes) + len(self._oxcarts)}"
        if kind == "node":
            self._nodes[name] = self.start_node(self.major)
            await (
                self._nodes[name]
                .queue()
                .start_worker(
                    name=name,
                    concurrency=CONCURRENCY,
                    lockDuration=LOCK_MS,
                    stalledInterval=STALLED_MS,
                    maxStalledCount=STALLS,
                )
            )
        else:
            self._oxcarts[name] = self.oxcart_side.start_process(
                name=name,
                concurrency=CONCURRENCY,
                lock=f"{LOCK_MS}ms",
                stalled_interval=f"{STALLED_MS}ms",
                max_stalled=STALLS,
            )
        return name

    async def start_pair(self, looker: Looker) -> list[str]:
        """Start a worker process of each kind, and wait until both are there."""
        names = [await self.start("node"), await self.start("oxcart")]
        await wait_until(lambda: looker.are_connected(names), within=30, what=f"{names}")
        return names

    def kill(self, name: str) -> None:
        """Kill a worker process."""
        if name in self._nodes:
            self._nodes[name].peer.kill()
        else:
            self._oxcarts[name].kill()


@dataclass(frozen=True)
class Looker:
    """Looks at the queue from outside both libraries."""

    client: redis.Redis
    prefix: str
    queue: str

    @property
    def base(self) -> str:
        """What the queue's keys start with."""
        return f"{self.prefix}:{self.queue}"

    def completed_count(self) -> int:
        """How many jobs stand in ``completed``."""
        return int(self.client.zcard(f"{self.base}:completed"))

    def runs(self) -> tuple[Counter[str], int]:
        """How many jobs each worker completed, and how many runs were begun in all."""
        ids: Any = self.client.zrange(f"{self.base}:completed", 0, -1)
        pipeline = self.client.pipeline(transaction=False)
        for job_id in ids:
            names = ["pb", "ats", "atm", "returnvalue", "ox:unrun"]
            pipeline.hmget(f"{self.base}:{job_id.decode()}", names)
        rows = pipeline.execute()
        for by, _, made, value, _ in rows:
            assert (b"1", f'"{by.decode()}"') == (made, value.decode())
        begun = sum(int(row[1]) - int(row[4] or 0) for row in rows)
        return Counter(row[0].decode() for row in rows), begun

    def states(self) -> dict[str, str]:
        """The state of each job, once the queue is found to be whole."""
        return check_partition(self.client, self.prefix, self.queue).states

    def are_connected(self, names: list[str]) -> bool:
        """Whether workers of these names are there, by the names of their connections."""
        clients: Any = self.client.client_list()
        return set(names) <= {client["name"].rpartition(":w:")[2] for client in clients}

    def announced(self, event: str) -> Counter[str]:
        """How often each job was announced in the event stream."""
        entries: Any = self.client.xrange(f"{self.base}:events")
        return Counter(
            fields[b"jobId"].decode() for _, fields in entries if fields[b"event"] == event.encode()
        )
