"""Connections whose sending can be cancelled.

The client sends each command by ``asyncio.wait_for``. Before Python 3.12 that makes a task for each
command, and swallows a cancellation that comes together with the end of the sending: a worker that
was told to stop at that instant would never stop. These send under ``asyncio.timeout`` instead.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection
from redis.exceptions import TimeoutError as RedisTimeoutError

if TYPE_CHECKING:
    _Base = Connection
else:
    _Base = object


class _Prompt(_Base):
    socket_timeout: float | None

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002  # the client's own signature
        """Send a command; the time-out is kept here and hidden from the client meanwhile."""
        seconds, self.socket_timeout = self.socket_timeout, None
        try:
            async with asyncio.timeout(seconds):
                await super().send_packed_command(command, check_health)
        except TimeoutError:
            raise RedisTimeoutError("Timeout writing to socket") from None
        finally:
            self.socket_timeout = seconds


class PromptConnection(_Prompt, Connection):
    """Over TCP."""


class PromptSSLConnection(_Prompt, SSLConnection):
    """Over TLS."""


class PromptUnixConnection(_Prompt, UnixDomainSocketConnection):
    """Over a Unix domain socket."""


class PromptMasterConnection(_Prompt, SentinelManagedConnection):
    """To the master that the Sentinels name."""


class PromptMasterSSLConnection(_Prompt, SentinelManagedSSLConnection):
    """The same over TLS."""
