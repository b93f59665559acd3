"""A client of server-sent events, for tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

WITHIN_S = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """An event, or a comment, as a browser receives it."""

    name: str | None = None
    id: str | None = None
    data: Any = None
    comment: str | None = None
    retry: str | None = None


class Stream:
    """An open stream of events.

    Args:
        response: the answer.
    """

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._blocks = self._read()

    async def next(self) -> Received:
        """The next event or comment."""
        async with asyncio.timeout(WITHIN_S):
            return await anext(self._blocks)

    async def event(self) -> Received:
        """The next event; comments are passed over."""
        while (received := await self.next()).name is None:
            pass
        return received

    async def until(self, name: str) -> list[Received]:
        """The events up to the first of a name."""
        found = [await self.event()]
        while found[-1].name != name:
            found.append(await self.event())
        return found

    async def rest(self) -> list[Received]:
        """What comes until the server ends the stream."""
        async with asyncio.timeout(WITHIN_S):
            return [received async for received in self._blocks]

    async def _read(self) -> AsyncIterator[Received]:
        lines: dict[str, str] = {}
        async for line in self.response.aiter_lines():
            if line:
                field, _, value = line.partition(": ")
                lines[{"": "comment"}.get(field, field)] = value
                continue
            lines, block = {}, lines
            yield Received(
                name=block.get("event"),
                id=block.get("id"),
                data=json.loads(block["data"]) if "data" in block else None,
                comment=block.get("comment"),
                retry=block.get("retry"),
            )


@asynccontextmanager
async def following(
    client: httpx2.AsyncClient, path: str, *, after: str | None = None
) -> AsyncIterator[Stream]:
    """Open a stream of events."""
    headers = {} if after is None else {"last-event-id": after}
    async with client.stream("GET", path, headers=headers) as response:
        yield Stream(response)
