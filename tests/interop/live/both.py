"""The same step on either side, for tests that go through all combinations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from tests.interop.live.node_side import NodeSide
from tests.interop.live.oxcart_side import OxcartSide

Kind = Literal["node", "oxcart"]
KINDS: tuple[Kind, Kind] = ("node", "oxcart")


class Both:
    """Both sides of a test.

    Args:
        node: the Node side.
        oxcart_side: the Python side.
    """

    def __init__(self, node: NodeSide, oxcart_side: OxcartSide) -> None:
        self.node = node
        self.oxcart = oxcart_side

    @asynccontextmanager
    async def worker(self, kind: Kind, queue: str = "q") -> AsyncIterator[None]:
        """A worker of either kind, named by its kind, that runs while the body does."""
        if kind == "oxcart":
            async with self.oxcart.worker(queue, name=kind):
                yield
            return
        worker = await self.node.queue(queue).start_worker(name=self.node.new_name(kind))
        yield
        # By force: a worker that met a rate limit would first wait for its end.
        await worker.call("close", True)
