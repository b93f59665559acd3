"""How clients are made and closed: one place for URLs, time-outs and names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from oxcart._model.duration import Duration, to_seconds
from oxcart._store.address import Address, Kind
from oxcart.errors import ConfigError

if TYPE_CHECKING:
    import redis
    import redis.asyncio
    import redis.cluster
    from redis.asyncio import Connection

    AsyncClient = redis.asyncio.Redis | redis.asyncio.RedisCluster
    SyncClient = redis.Redis | redis.cluster.RedisCluster

MAX_CONNECTIONS = 1_000
"""How many connections a client may have, to each node where there are several."""


LEAST_SECONDS = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait for the server.

    Attributes:
        connect: for a new connection.
        command: for the server to go on sending a reply, or taking a command: it begins again
            with each part that arrives or leaves.
    """

    connect: Duration = "500ms"
    command: Duration = "5s"

    @classmethod
    def from_environment(cls, *, command: str = "5s") -> Timeouts:
        """Read ``OXCART_REDIS_CONNECT_SECONDS`` and ``OXCART_REDIS_COMMAND_SECONDS``.

        Args:
            command: the default of the latter.

        Raises:
            ConfigError: a variable is not a positive number.
        """
        return cls(
            connect=_seconds_in("OXCART_REDIS_CONNECT_SECONDS") or cls().connect,
            command=_seconds_in("OXCART_REDIS_COMMAND_SECONDS") or command,
        )


def _seconds_in(variable: str) -> timedelta | None:
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
        duration = timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        seconds = 0.0
    if not seconds >= LEAST_SECONDS:
        raise ConfigError(f"{variable} is {text!r}: it must be a number of seconds, 0.001 or more")
    return duration


def async_client(url: str, timeouts: Timeouts) -> AsyncClient:
    """Make an asyncio client. It connects when it is first used.

    Args:
        url: any form that ``Address`` knows.
        timeouts: see ``Timeouts``.
    """
    address = Address.parse(url)
    if address.kind is Kind.CLUSTER:
        from oxcart._store.cluster import async_cluster

        return async_cluster(address.hosts, node_options(address, timeouts))
    return async_server(address, timeouts)


def async_server(
    address: Address, timeouts: Timeouts, *, block_s: float = 0, name: str | None = None
) -> redis.asyncio.Redis:
    """Make an asyncio client of one server: the address's own, or the master.

    Args:
        address: where the server is; not a cluster's.
        timeouts: see ``Timeouts``.
        block_s: the longest block that its commands ask for, added to the read time-out, so that
            a half-open connection costs seconds and not the worker.
        name: the connections' name on the server.
    """
    if address.kind is Kind.SENTINEL:
        from oxcart._store.sentinel import async_master

        return async_master(address, node_options(address, timeouts, block_s, name))
    from redis.connection import parse_url

    given: dict[str, Any] = dict(parse_url(address.url))
    return _async_pooled(_options(timeouts, block_s, name) | given)


def async_node(host: tuple[str, int], options: dict[str, Any]) -> redis.asyncio.Redis:
    """Make an asyncio client of one node.

    Args:
        host: the node's host and port.
        options: see ``node_options``.
    """
    return _async_pooled({"host": host[0], "port": host[1], **options})


def async_connection(host: tuple[str, int], options: dict[str, Any]) -> Connection:
    """Make one asyncio connection to a node, outside any client. It is connected by the caller."""
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    from oxcart._store import prompt

    given = {name: value for name, value in options.items() if name != "max_connections"}
    kind = prompt.PromptSSLConnection if given.pop("ssl", False) else prompt.PromptConnection
    connection: Connection = kind(host=host[0], port=host[1], retry=Retry(NoBackoff(), 0), **given)
    return connection


def sync_client(url: str, timeouts: Timeouts) -> SyncClient:
    """Make a blocking client. It connects when it is first used; a cluster's does so at once."""
    address = Address.parse(url)
    if address.kind is Kind.CLUSTER:
        from oxcart._store.cluster import sync_cluster

        return sync_cluster(address.hosts, node_options(address, timeouts))
    if address.kind is Kind.SENTINEL:
        from oxcart._store.sentinel import sync_master

        return sync_master(address, node_options(address, timeouts))
    from redis import ConnectionPool, Redis
    from redis.backoff import NoBackoff
    from redis.connection import SSLConnection, parse_url
    from redis.retry import Retry

    from oxcart._store import blocking_socket

    options = _options(timeouts, 0, None) | dict(parse_url(address.url))
    if "path" in options:
        kind: type[Any] = blocking_socket.PatientUnixConnection
    elif options.get("connection_class") is SSLConnection:
        kind = blocking_socket.PatientSSLConnection
    else:
        kind = blocking_socket.PatientConnection
    options["connection_class"] = kind
    return Redis.from_pool(ConnectionPool(retry=Retry(NoBackoff(), 0), **options))


def node_options(
    address: Address, timeouts: Timeouts, block_s: float = 0, name: str | None = None
) -> dict[str, Any]:
    """What a connection to any of an address's servers takes: all but the host."""
    from redis.connection import parse_url

    given: dict[str, Any] = dict(parse_url(address.url))
    del given["host"]
    if given.pop("connection_class", None) is not None:  # the one for TLS
        given["ssl"] = True
    return _options(timeouts, block_s, name) | given


def _async_pooled(options: dict[str, Any]) -> redis.asyncio.Redis:
    from redis.asyncio import ConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.connection import SSLConnection

    from oxcart._store import prompt

    if "path" in options:
        kind: type[Any] = prompt.PromptUnixConnection
    elif options.pop("ssl", False) or options.get("connection_class") is SSLConnection:
        kind = prompt.PromptSSLConnection
    else:
        kind = prompt.PromptConnection
    options["connection_class"] = kind
    # Retrying is decided above, where it is known which calls may be repeated.
    pool = ConnectionPool(retry=Retry(NoBackoff(), 0), **options)
    return Redis.from_pool(pool)


async def drop_idle(client: AsyncClient) -> None:
    """Close a client's idle connections; they are made anew when they are needed."""
    from redis.asyncio import Redis

    if isinstance(client, Redis):
        await client.connection_pool.disconnect(inuse_connections=False)
    else:
        from oxcart._store.cluster import disconnect_idle

        await disconnect_idle(client)


async def aclose_client(client: AsyncClient) -> None:
    """Close a client's connections."""
    from redis.asyncio import Redis

    if not isinstance(client, Redis):
        from oxcart._store import cluster

        await cluster.aclose(client)
    elif hasattr(client.connection_pool, "sentinel_manager"):
        from oxcart._store import sentinel

        await sentinel.aclose(client)
    else:
        await client.aclose()


def close_client(client: SyncClient) -> None:
    """Close a blocking client's connections."""
    from redis import Redis

    if isinstance(client, Redis) and hasattr(client.connection_pool, "sentinel_manager"):
        from oxcart._store import sentinel

        sentinel.close(client)
    else:
        client.close()


def _options(timeouts: Timeouts, block_s: float, name: str | None) -> dict[str, Any]:
    return {
        "socket_connect_timeout": to_seconds(timeouts.connect, what="connect time-out"),
        "socket_timeout": to_seconds(timeouts.command, what="command time-out") + block_s,
        "client_name": name,
        "max_connections": MAX_CONNECTIONS,
        "protocol": 2,
    }
