"""The Node side of a test: queues, workers and events of BullMQ, under the test's prefix."""

from __future__ import annotations

import itertools
from typing import Any

from tests.interop.live.peer import NodePeer
from tests.support import wait_until

from oxcart import JsonValue

NodeJob = dict[str, Any]
"""A job as BullMQ shows it: the public members of its ``Job``."""


class NodeSide:
    """What a test does in Node.

    Args:
        peer: the process.
        prefix: what all keys start with.
        major: the release of BullMQ, 6 or 5.
    """

    def __init__(self, peer: NodePeer, prefix: str, major: int) -> None:
        self.peer = peer
        self.prefix = prefix
        self.major = major
        self._numbers = itertools.count(1)

    def queue(self, name: str = "q") -> NodeQueue:
        """A queue."""
        return NodeQueue(self, name)

    async def flow(self, method: str, *arguments: Any) -> Any:
        """Call a method of the flow producer."""
        return await self.peer.run("flow", prefix=self.prefix, method=method, args=arguments)

    def new_name(self, what: str) -> str:
        """A name that nothing else of the test has."""
        return f"{what}{next(self._numbers)}"


class NodeQueue:
    """A queue of BullMQ."""

    def __init__(self, side: NodeSide, name: str) -> None:
        self._side = side
        self._peer = side.peer
        self._place: dict[str, Any] = {"prefix": side.prefix, "queue": name}

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the ``Queue``."""
        return await self._peer.run("queue", **self._place, method=method, args=arguments)

    async def add(self, name: str, data: JsonValue = None, **options: Any) -> NodeJob:
        """Add a job; options by their names in BullMQ."""
        given = {} if data is None else data
        added: NodeJob = await self.call("add", name, given, options)
        return added

    async def job(self, job_id: str) -> NodeJob:
        """Read a job."""
        found: NodeJob | None = await self.call("getJob", job_id)
        assert found is not None, f"Node finds no job {job_id!r}"
        return found

    async def call_job(self, job_id: str, method: str, *arguments: Any) -> Any:
        """Call a method of a ``Job``."""
        given = {"job": job_id, "method": method, "args": arguments}
        return await self._peer.run("job", **self._place, **given)

    async def state(self, job_id: str) -> str:
        """The state of a job."""
        return str(await self.call_job(job_id, "getState"))

    async def start_worker(self, **options: Any) -> NodeWorker:
        """Start a worker; options by their names in BullMQ."""
        name = options.pop("name", None) or self._side.new_name("node")
        await self._peer.run("startWorker", **self._place, worker=name, options=options)
        return NodeWorker(self._peer, name)

    async def release(self, job_id: str) -> None:
        """Let a job go on that waits in ``hold``."""
        assert await self._peer.run("release", job=job_id), f"job {job_id!r} does not hold"

    async def follow(self, *custom: str) -> NodeEvents:
        """Follow the events from the queue's first, and custom ones by their names."""
        name = self._side.new_name("events")
        await self._peer.run("follow", **self._place, events=name, custom=custom)
        return NodeEvents(self._peer, name)

    async def result(self, job_id: str, *, within: float = 30) -> Any:
        """Wait for a job's result with ``waitUntilFinished``."""
        wanted = {"job": job_id, "events": "results", "ttl": within * 1_000}
        return await self._peer.run("waitUntilFinished", **self._place, **wanted)

    async def publish(self, **fields: JsonValue) -> None:
        """Publish an event of one's own."""
        await self._peer.run("publish", **self._place, fields=fields)


class NodeWorker:
    """A worker of BullMQ."""

    def __init__(self, peer: NodePeer, name: str) -> None:
        self._peer = peer
        self.name = name

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the ``Worker``."""
        return await self._peer.run("worker", worker=self.name, method=method, args=arguments)

    async def close(self) -> None:
        """Let running jobs end, and stop."""
        await self.call("close")


class NodeEvents:
    """What a ``QueueEvents`` of BullMQ gave."""

    def __init__(self, peer: NodePeer, name: str) -> None:
        self._peer = peer
        self._name = name

    def of(self, job_id: str) -> list[tuple[str, dict[str, Any]]]:
        """The events of a job, in order: name and members."""
        return [
            (told["name"], told["args"])
            for told in self._peer.notices("event", events=self._name)
            if told["args"].get("jobId") == job_id
        ]

    def named(self, name: str) -> list[dict[str, Any]]:
        """The members of the events of a name."""
        return [told["args"] for told in self._peer.notices("event", events=self._name, name=name)]

    async def wait_for(self, name: str, *, job_id: str | None = None) -> dict[str, Any]:
        """Wait for an event; gives its members."""

        def found() -> list[dict[str, Any]]:
            return [args for args in self.named(name) if job_id in (None, args.get("jobId"))]

        await wait_until(found, within=30, what=f"Node to see the event {name} of job {job_id}")
        return found()[0]
