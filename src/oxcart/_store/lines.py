"""Connections kept at hand, so that a call costs little more than its own bytes.

The client's pool looks each connection over when it is taken and put back, and measures each
command; a worker makes thousands of calls a second. Here a connection is borrowed from the pool
once, used for one call after another, and given back when something is wrong with it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any

from oxcart._store.call import Word

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool

    from oxcart._store.prompt import PromptConnection


class Lines:
    """The borrowed connections of one pool, in one event loop.

    Args:
        pool: where connections come from.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._idle: list[PromptConnection] = []
        # The client needs connections of the same pool for what it sends by itself.
        self._most_idle = pool.max_connections // 2

    async def send(self, words: Sequence[Word]) -> Any:
        """Send a command and read its reply.

        Raises:
            redis.exceptions.RedisError: what the client raises.
        """
        from redis.exceptions import RedisError, ResponseError

        connection = await self._open_one()
        try:
            await connection.send_command(*words)
            reply = await connection.read_response()
        except ResponseError:
            await self._keep(connection)
            raise
        except RedisError:
            await self._give_back(connection)
            # What broke one is likely to have broken the others: each would cost a failure.
            await self.drop_idle()
            raise
        except BaseException:
            await self._give_back(connection)
            raise
        await self._keep(connection)
        return reply

    async def send_ahead(self, commands: Sequence[Sequence[Word]]) -> AsyncGenerator[Any, None]:
        """Send commands over one connection, in order, each before the reply of the one before.

        The server works on the next command while the last reply is being used. When the caller
        stops half-way, or a command fails, the connection is closed, and the rest is not sent.
        """
        connection = await self._open_one()
        is_whole = False
        try:
            await connection.send_command(*commands[0])
            for following in commands[1:]:
                await connection.send_command(*following)
                yield await connection.read_response()
            yield await connection.read_response()
            is_whole = True
        finally:
            if is_whole:
                await self._keep(connection)
            else:
                await self._give_back(connection)

    async def drop_idle(self) -> None:
        """Close the connections that are not being used."""
        idle, self._idle = self._idle, []
        for connection in idle:
            await self._give_back(connection)

    async def _open_one(self) -> PromptConnection:
        """A connection that is connected."""
        if not self._idle:
            connection: PromptConnection = await self._pool.get_connection()
            return connection
        connection = self._idle.pop()
        if not connection.is_open:  # closed by the server meanwhile: it is made anew
            try:
                await connection.disconnect(nowait=True)
                await self._pool.ensure_connection(connection)
            except BaseException:
                await self._give_back(connection)
                raise
        return connection

    async def _keep(self, connection: PromptConnection) -> None:
        if len(self._idle) < self._most_idle:
            self._idle.append(connection)
        else:
            await self._pool.release(connection)

    async def _give_back(self, connection: PromptConnection) -> None:
        try:
            await connection.disconnect(nowait=True)
        finally:
            await self._pool.release(connection)
