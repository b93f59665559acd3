"""Running calls on asyncio: the only place where the async engine talks to the server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from oxcart._store.call import Call, Word
from oxcart._store.connection import Timeouts, aclose_client, async_client, drop_idle
from oxcart._store.lines import Lines
from oxcart._store.location import Location
from oxcart._store.translate import is_missing_script, translated
from oxcart.errors import ConfigError, StoreError, StoreTimeout, StoreUnavailable

if TYPE_CHECKING:
    from oxcart._store.connection import AsyncClient

T = TypeVar("T")
_Send = Callable[[Sequence[Word]], Awaitable[Any]]


class Store:
    """A server, reached from any event loop: each loop gets connections of its own.

    Args:
        location: where the server is.
        timeouts: how long to wait for the server.
    """

    def __init__(self, location: Location, *, timeouts: Timeouts | None = None) -> None:
        self.location = location
        self.timeouts = timeouts or Timeouts.from_environment()
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncClient] = (
            WeakKeyDictionary()
        )
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, Lines] = WeakKeyDictionary()
        self._ended: WeakKeyDictionary[asyncio.AbstractEventLoop, str] = WeakKeyDictionary()

    async def run(self, call: Call[T]) -> T:
        """Send one call and read its reply.

        Raises:
            StoreUnavailable: the server cannot be reached, refuses for now, or did not answer in
                time (``StoreTimeout``). A repeatable call is sent a second time first, over a new
                connection, unless it timed out.
            ScriptFailed: the server ended the call with an error.
        """
        try:
            reply = await self._send(call)
        except StoreUnavailable as error:
            await self._make_ready_again(error, is_repeatable=call.is_repeatable)
            reply = await self._send(call)
        return call.read(reply)

    async def run_all(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """Send calls in one round trip, not atomically; results in order.

        Raises:
            StoreUnavailable: as ``run``, for the first call that failed.
            ScriptFailed: as ``run``.
        """
        try:
            replies = await self._send_all(calls)
        except StoreUnavailable as error:
            is_repeatable = all(call.is_repeatable for call in calls)
            await self._make_ready_again(error, is_repeatable=is_repeatable)
            replies = await self._send_all(calls)
        results = []
        for call, reply in zip(calls, replies, strict=True):
            if isinstance(reply, Exception):
                if not is_missing_script(reply):
                    with translated(call.name):
                        raise reply
                results.append(await self.run(call))
            else:
                results.append(call.read(reply))
        return results

    async def run_in_order(self, calls: Sequence[Call[T]]) -> list[T]:
        """Send scripts that may be repeated one after the other; results in order.

        The server runs one while the results of the one before are read.

        Raises:
            StoreUnavailable: as ``run``; the calls before it took effect, and maybe those after it.
            ScriptFailed: as ``run``.
        """
        results: list[T] = []
        if len(calls) > 1 and not self.location.is_cluster:
            try:
                await self._run_ahead(calls, results)
            except StoreTimeout:
                await self.drop_idle()
                raise
            except StoreError:
                pass  # where that breaks off, the rest is sent one by one
        for call in calls[len(results) :]:
            results.append(await self.run(call))  # noqa: PERF401  # what was read before stays
        return results

    async def _run_ahead(self, calls: Sequence[Call[T]], results: list[T]) -> None:
        lines = await self._own_lines()
        packed = [call.packed() for call in calls]
        with translated(calls[0].name):
            async with aclosing(lines.send_ahead(packed)) as replies:
                async for reply in replies:
                    results.append(calls[len(results)].read(reply))

    async def run_everywhere(self, call: Call[T]) -> list[T]:
        """Send a call without keys to every server that owns keys; a result each.

        That is one server, but for a cluster. It is for what a server tells of itself: its version
        (``INFO``), who is connected to it (``CLIENT LIST``).

        Raises:
            StoreUnavailable: as ``run``.
            ScriptFailed: as ``run``.
        """
        if not self.location.is_cluster:
            return [await self.run(call)]
        from oxcart._store.cluster import ask_primaries

        client: Any = await self._client()
        with translated(call.name):
            replies = await ask_primaries(client, call.packed())
        return [call.read(reply) for reply in replies]

    async def drop_idle(self) -> None:
        """Close the running loop's idle connections; they are made anew when they are needed.

        For when a connection to the server turned out to be half-open: the idle ones are likely to
        be so too, and each would cost a command's time-out to find out.
        """
        loop = asyncio.get_running_loop()
        client, lines = self._clients.get(loop), self._lines.get(loop)
        if lines is not None:
            await lines.drop_idle()
        if client is not None:
            # However closing a dead connection ends, it is closed.
            with suppress(StoreError), translated("close"):
                await drop_idle(client)

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        loop = asyncio.get_running_loop()
        client, lines = self._clients.pop(loop, None), self._lines.pop(loop, None)
        if lines is not None:
            await lines.drop_idle()
        if client is not None:
            with suppress(StoreError), translated("close"):
                await aclose_client(client)

    async def end(self, owner: str) -> None:
        """Close the connections of the running loop; none is opened there before ``begin``.

        Args:
            owner: whose store it is, for the error of whoever uses it nevertheless.
        """
        self._ended[asyncio.get_running_loop()] = owner
        await self.aclose()

    def begin(self) -> None:
        """Open connections of the running loop again when they are needed."""
        self._ended.pop(asyncio.get_running_loop(), None)

    async def _make_ready_again(self, error: StoreUnavailable, *, is_repeatable: bool) -> None:
        """After a connection broke, see that the server is there; raise what may not be retried."""
        if isinstance(error, StoreTimeout):
            await self.drop_idle()
            raise error
        if not is_repeatable:
            raise error
        await self.location.arestore()

    async def _send_all(self, calls: Sequence[Call[Any]]) -> list[Any]:
        with translated("pipeline"):
            pipeline = (await self._client()).pipeline(transaction=False)
            for call in calls:
                pipeline.execute_command(*call.packed())
            replies: list[Any] = await pipeline.execute(raise_on_error=False)
            return replies

    async def _client(self) -> AsyncClient:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            owner = self._ended.get(loop)
            if owner is not None:
                raise ConfigError(f"{owner} was closed by aclose(): `async with` opens it again")
            url = await self.location.aurl()
            # Another task of this loop may have made the client meanwhile.
            client = self._clients.get(loop) or async_client(url, self.timeouts)
            self._clients[loop] = client
        return client

    async def _send(self, call: Call[Any]) -> Any:
        if call.script is None:  # only the client knows how to read what plain commands answer
            send = await self._execute()
        else:
            lines = self._lines.get(asyncio.get_running_loop())
            send = await self._line() if lines is None else lines.send
        try:
            return await send(call.packed())
        except Exception as error:
            if not is_missing_script(error):
                with translated(call.name):
                    raise
        with translated(call.name):
            return await send(call.packed_with_source())

    async def _line(self) -> _Send:
        """What sends scripts: lines of our own, or a cluster's client, which finds the node."""
        return await self._execute() if self.location.is_cluster else (await self._own_lines()).send

    async def _own_lines(self) -> Lines:
        client: Any = await self._client()
        loop = asyncio.get_running_loop()
        return self._lines.setdefault(loop, Lines(client.connection_pool))

    async def _execute(self) -> _Send:
        client: Any = await self._client()
        return lambda words: client.execute_command(*words)
