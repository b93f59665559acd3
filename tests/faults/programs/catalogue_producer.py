"""A producer process: adds jobs at a rate and writes each add to the ledger.

Its only argument is a JSON object; see ``Producer`` in ``tests.faults.catalogue.trial``.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from typing import Any

import uvloop
from tests.faults.catalogue.ledger import ACKNOWLEDGED, REFUSED, TRIED, LedgerWriter

import oxcart
from oxcart.errors import OxcartError

PAUSE_S = 0.05
"""Wait after a refused add."""


class Producer:
    """Adds jobs in batches until a number is acknowledged or SIGTERM arrives.

    Args:
        given: the JSON object.
    """

    def __init__(self, given: dict[str, Any]) -> None:
        self._number = given["number"]
        self._count = given["count"]
        self._rate = given["rate"]
        self._batch = given["batch"]
        self._recipes = given["recipes"]
        self._own_ids = given["own_ids"]
        self._children = given["children"]
        self._backlog = given["backlog"]
        self._queue_name = given["queue"]
        self._url, self._prefix = os.environ.get("REDIS_URL"), os.environ["TEST_PREFIX"]
        self._random = random.Random(given["seed"])  # noqa: S311  # a repeatable load
        self._book = LedgerWriter(os.environ["TEST_LEDGER"])
        self._made = self._acknowledged = 0
        self._is_stopped = False

    def stop(self) -> None:
        """End after the add under way."""
        self._is_stopped = True

    async def run(self) -> None:
        """Add jobs until done."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.stop)
        options: dict[str, Any] = {"redis_url": self._url, "prefix": self._prefix}
        if self._children:
            async with oxcart.FlowProducer(**options) as flows:
                await self._repeat(lambda: self._add_flows(flows))
        else:
            async with oxcart.Queue(self._queue_name, **options) as queue:
                self._waiting = queue
                await self._repeat(lambda: self._add_batch(queue))

    async def _repeat(self, add: Any) -> None:
        started = time.monotonic()
        while not self._is_stopped and self._acknowledged < self._count:
            await self._keep_rate(started)
            await add()

    async def _keep_rate(self, started: float) -> None:
        due = started + self._made / self._rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        while self._backlog and not self._children and not self._is_stopped:
            try:
                counts = await self._waiting.get_counts()
            except OxcartError:
                return
            if counts.waiting + counts.prioritized < self._backlog:
                return
            await asyncio.sleep(0.1)

    async def _add_batch(self, queue: oxcart.Queue) -> None:
        made = [self._make() for _ in range(min(self._batch, self._count - self._acknowledged))]
        references = [reference for reference, _ in made]
        self._book.write_all(TRIED, [(reference, "-") for reference in references])
        while True:
            try:
                if len(made) == 1:
                    jobs = [await queue.add_spec(made[0][1])]
                else:
                    jobs = await queue.add_many([spec for _, spec in made])
            except OxcartError as error:
                self._book.write(REFUSED, references[0], type(error).__name__)
                await asyncio.sleep(PAUSE_S)
                if self._own_ids and not self._is_stopped:
                    continue  # the same ids again: what was added is not added twice
                return
            break
        pairs = zip(references, jobs, strict=True)
        self._book.write_all(
            ACKNOWLEDGED, [(reference, f"{self._queue_name}:{job.id}") for reference, job in pairs]
        )
        self._acknowledged += len(jobs)

    async def _add_flows(self, flows: oxcart.FlowProducer) -> None:
        trees = [self._make_flow() for _ in range(self._batch)]
        nodes = [node for tree in trees for node in (tree, *tree.children)]
        pairs = [
            (str(node.options.job_id), f"{node.queue}:{node.options.job_id}") for node in nodes
        ]
        self._book.write_all(TRIED, [(reference, "-") for reference, _ in pairs])
        while True:
            try:
                await flows.add_many(trees)
            except OxcartError as error:
                self._book.write(REFUSED, pairs[0][0], type(error).__name__)
                await asyncio.sleep(PAUSE_S)
                if self._is_stopped:
                    return
                continue
            break
        self._book.write_all(ACKNOWLEDGED, pairs)
        self._acknowledged += len(pairs)

    def _make(self) -> tuple[str, oxcart.JobSpec]:
        recipe = self._random.choices(
            self._recipes, [each.get("share", 1) for each in self._recipes]
        )[0]
        reference = f"{recipe.get('kind', 'g')}{self._number}.{self._made}"
        self._made += 1
        options = dict(recipe.get("options", {}))
        if "delay" in recipe:
            options["delay"] = f"{self._random.randrange(1, recipe['delay'] + 1)}ms"
        if "priority" in recipe:
            options["priority"] = self._random.randrange(1, recipe["priority"] + 1)
        if "backoff_ms" in recipe:
            options["backoff"] = oxcart.fixed(f"{recipe['backoff_ms']}ms")
        if self._own_ids:
            options["job_id"] = reference
        data = {"ref": reference, **recipe.get("data", {})}
        if "fill" in recipe:
            data["fill"] = "f" * recipe["fill"]
        spec = oxcart.JobSpec(name=recipe["name"], data=data, options=oxcart.JobOptions(**options))
        return reference, spec

    def _make_flow(self) -> oxcart.FlowNode:
        reference = f"g{self._number}.{self._made}"
        children = [
            self._node(f"{reference}.{number}", queue=self._queue_name)
            for number in range(self._children)
        ]
        self._made += 1 + self._children
        return self._node(reference, queue="flow").with_children(children)

    def _node(self, reference: str, *, queue: str) -> oxcart.FlowNode:
        return oxcart.FlowNode(
            name="work",
            queue=queue,
            data={"ref": reference},
            options=oxcart.JobOptions(job_id=reference),
        )


if __name__ == "__main__":
    uvloop.run(Producer(json.loads(sys.argv[1])).run())
