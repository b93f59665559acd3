"""Limits on connections: how many are open, how long each may wait, and which are closed first.

A connection *waits* while no request of it is being answered: before its first request, between
two, and while a request's head arrives. A connection that waits holds nothing but a file
descriptor, so the one that has waited longest is closed when a new client finds no room.
"""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

log = logging.getLogger("oxcart.http")

DEFAULT_MAX_CONNECTIONS = 4000
_SHARE_OF_FILES = 0.75
"""The rest of the file descriptors is for the database, Redis and the files that are sent."""
_MIN_CONNECTIONS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What one connection, and all of them together, may take.

    Attributes:
        max_connections: how many are open at most; never more than three quarters of the process's
            file descriptors.
        head_seconds: how long a connection may wait until the head of a request is complete.
        stall_seconds: within which time a client must take ``stall_bytes`` of a response.
        stall_bytes: less than this within ``stall_seconds`` counts as a stalled download.
    """

    max_connections: int = DEFAULT_MAX_CONNECTIONS
    head_seconds: float = 15.0
    stall_seconds: float = 30.0
    stall_bytes: int = 16 * 1024

    @property
    def effective_connections(self) -> int:
        """The number of connections that the process can hold."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if files == resource.RLIM_INFINITY:
            return self.max_connections
        possible = max(_MIN_CONNECTIONS, int(files * _SHARE_OF_FILES))
        return min(self.max_connections, possible)


class Waiting(Protocol):
    """A connection that can be closed while it waits."""

    def close_idle(self) -> None:
        """Close the connection; no request of it is being answered."""
        ...


class ConnectionTable:
    """The open connections, and those of them that wait, the longest first.

    Args:
        limits: what they may take.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.max_connections = limits.effective_connections
        self.open_count = 0
        self._waiting: dict[Waiting, None] = {}
        self._full = Occasional()

    def opened(self) -> bool:
        """Count a new connection; returns whether there is room for it."""
        self.open_count += 1
        if self.open_count <= self.max_connections:
            return True
        has_room = self.close_longest_waiting()
        left_out_count = self._full.passes()
        if left_out_count is not None:
            fact = {
                "limit": self.max_connections,
                "action": "closed the longest waiting" if has_room else "refused with 503",
                "left_out_count": left_out_count,
            }
            log.warning("http.connection_limit_reached", extra=fact)
        return has_room

    def closed(self, connection: Waiting) -> None:
        """Forget a connection."""
        self.open_count -= 1
        self._waiting.pop(connection, None)

    def waits(self, connection: Waiting) -> None:
        """Note that a connection begins to wait."""
        self._waiting.pop(connection, None)
        self._waiting[connection] = None

    def is_busy(self, connection: Waiting) -> None:
        """Note that a request of a connection is being answered."""
        self._waiting.pop(connection, None)

    def close_longest_waiting(self) -> bool:
        """Close the connection that has waited longest; returns whether there was one."""
        connection = next(iter(self._waiting), None)
        if connection is None:
            return False
        del self._waiting[connection]
        connection.close_idle()
        return True


class Occasional:
    """Lets a log line pass at most once in a while, with the number of those left out.

    Args:
        every_seconds: the shortest time between two lines.
        monotonic: the clock.
    """

    def __init__(
        self, every_seconds: float = 10.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._every_seconds = every_seconds
        self._monotonic = monotonic
        self._next = 0.0
        self._left_out = 0

    def passes(self) -> int | None:
        """Return how many lines were left out if one may be written now, else None."""
        now = self._monotonic()
        if now < self._next:
            self._left_out += 1
            return None
        left_out, self._left_out = self._left_out, 0
        self._next = now + self._every_seconds
        return left_out
