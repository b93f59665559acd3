"""How clients are made: one place for URLs, time-outs and names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oxcart._model.duration import Duration, to_seconds

if TYPE_CHECKING:
    import redis
    import redis.asyncio

MAX_CONNECTIONS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait for the server.

    Attributes:
        connect: for a new connection.
        command: for a reply.
    """

    connect: Duration = "500ms"
    command: Duration = "5s"


def async_client(
    url: str, timeouts: Timeouts, *, block_s: float = 0, name: str | None = None
) -> redis.asyncio.Redis:
    """Make an asyncio client. It connects when it is first used.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        timeouts: see ``Timeouts``.
        block_s: the longest block that its commands ask for, added to the read time-out, so that
            a half-open connection costs seconds and not the worker.
        name: the connections' name on the server.
    """
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    # Retrying is decided above, where it is known which calls may be repeated.
    return Redis.from_url(url, retry=Retry(NoBackoff(), 0), **_options(timeouts, block_s, name))


def sync_client(url: str, timeouts: Timeouts) -> redis.Redis:
    """Make a blocking client. It connects when it is first used."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return Redis.from_url(url, retry=Retry(NoBackoff(), 0), **_options(timeouts, 0, None))


def _options(timeouts: Timeouts, block_s: float, name: str | None) -> dict[str, Any]:
    return {
        "socket_connect_timeout": to_seconds(timeouts.connect, what="connect time-out"),
        "socket_timeout": to_seconds(timeouts.command, what="command time-out") + block_s,
        "client_name": name,
        "max_connections": MAX_CONNECTIONS,
        "protocol": 2,
    }
