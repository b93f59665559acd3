"""Workers of two versions of an application on one queue, under load, with Node producers beside.

Whatever is deployed first, every job completes once, in a version that knows it, and none fails.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.engine.running import running
from tests.interop.live.node_side import NodeSide
from tests.interop.live.oxcart_side import ROOT, OxcartSide
from tests.interop.live.waiting import wait_for

from oxcart import JobSpec, JsonValue, Queue, Worker

PROGRAM = "tests.interop.live.programs.generation"
OF_BOTH: list[tuple[str, dict[str, JsonValue]]] = [("kept", {}), ("changed", {})]
OF_NEW: list[tuple[str, dict[str, JsonValue]]] = [("added", {}), ("changed", {"extra": "x"})]
ROUNDS = 10
"""How many batches the site adds before and after its own deploy."""
BATCH = 5
"""How many jobs of each kind a producer adds in a round."""


class Fleet:
    """The worker processes."""

    def __init__(self, url: str, prefix: str, folder: Path) -> None:
        self.ledger = folder / "ledger.jsonl"
        self._given = {"url": url, "prefix": prefix, "ledger": str(self.ledger)}
        self._log = (folder / "workers.log").open("wb")
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, generation: str) -> subprocess.Popen[bytes]:
        arguments = json.dumps({**self._given, "generation": generation})
        process = subprocess.Popen(
            [sys.executable, "-m", PROGRAM, arguments],
            cwd=ROOT,
            stdout=self._log,
            stderr=self._log,
        )
        self._running.append(process)
        return process

    async def replace(self, old: subprocess.Popen[bytes], queue: Queue) -> None:
        """Replace a worker by one of the new version, as a rolling deploy does."""
        count = len(await queue.get_workers())
        self.start("new")
        await wait_for(queue.get_workers, lambda now: len(now) > count, what="the new worker")
        old.send_signal(signal.SIGTERM)
        assert 0 == await asyncio.to_thread(old.wait, 30)

    def end(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()
        self._log.close()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.ledger.read_text("utf-8").splitlines()]


@pytest.fixture
def fleet(valkey_url: str, prefix: str, tmp_path: Path) -> Iterator[Fleet]:
    started = Fleet(valkey_url, prefix, tmp_path)
    yield started
    started.end()


class Site:
    """Adds jobs from Python and from Node, with numbers of their own."""

    def __init__(self, queue: Queue, node: NodeSide) -> None:
        self._queue = queue
        self._node = node.queue()
        self.kinds = list(OF_BOTH)
        self.added: Counter[tuple[str, int]] = Counter()

    async def add_rounds(self) -> None:
        for _ in range(ROUNDS):
            await self._queue.add_many(
                [JobSpec(name=name, data=data) for name, data in self._batch()]
            )
            bulk = [{"name": name, "data": data} for name, data in self._batch()]
            await self._node.call("addBulk", bulk)
            await asyncio.sleep(0.05)  # what spreads the load, and nothing waits for it

    def _batch(self) -> list[tuple[str, dict[str, JsonValue]]]:
        batch = []
        for name, data in self.kinds:
            for _ in range(BATCH):
                n = len(self.added)
                self.added["changed with extra" if data else name, n] += 1
                batch.append((name, {"n": n, **data}))
        return batch


@pytest.mark.parametrize("first", ["site", "workers"])
async def test_no_job_fails_in_a_rolling_deploy(
    node: NodeSide, oxcart_side: OxcartSide, fleet: Fleet, first: str
) -> None:
    queue = await oxcart_side.queue()
    old = [fleet.start("old") for _ in range(2)]
    await wait_for(queue.get_workers, lambda now: len(now) == 2, what="the old workers")
    site = Site(queue, node)
    await site.add_rounds()

    if first == "site":
        site.kinds += OF_NEW
        await site.add_rounds()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(site.add_rounds())
        await fleet.replace(old[0], queue)
        site.kinds = [*OF_BOTH, *OF_NEW]  # the site of the new version, beside an old worker
        tasks.create_task(site.add_rounds())
        await fleet.replace(old[1], queue)
    total = len(site.added)
    await wait_for(
        queue.get_counts,
        lambda now: now.completed + now.failed == total,
        within=60,
        what=f"{total} jobs to end",
    )

    counts = await queue.get_counts()
    lines = fleet.lines()
    assert (total, 0) == (counts.completed, counts.failed)
    assert site.added == Counter((line["kind"], line["n"]) for line in lines)
    of_new = [line for line in lines if line["kind"] in ("added", "changed with extra")]
    assert {"new"} == {line["generation"] for line in of_new}


async def test_node_worker_runs_what_oxcart_put_back(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()

    async def known(_: object) -> None: ...

    async def was_put_back() -> int:
        return (await queue.get_figures()).unknown_count

    job = await node.queue().add("echo", "of Node alone")
    worker = Worker("q", {"known": known}, redis_url=oxcart_side.url, prefix=oxcart_side.prefix)
    async with running(worker):
        await wait_for(was_put_back, lambda count: count == 1, what="the job to be put back")
        assert "delayed" == await node.queue().state(job["id"])
    await node.queue().start_worker()

    assert "of Node alone" == await node.queue().result(job["id"])
    seen = await node.queue().job(job["id"])
    assert 1 == seen["attemptsMade"]
    found = await queue.get_job(job["id"])
    assert found is not None
    assert found.delay_reason is None
