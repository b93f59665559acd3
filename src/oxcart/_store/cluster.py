"""Clients of a cluster: each call goes to the node that owns its keys' slot."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import redis.asyncio.cluster
import redis.cluster
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from oxcart._store.blocking_socket import PatientConnection, PatientSSLConnection
from oxcart._store.prompt import PromptConnection, PromptSSLConnection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis.asyncio import RedisCluster
    from redis.cluster import RedisCluster as SyncRedisCluster

Hosts = tuple[tuple[str, int], ...]

_HABITS: dict[str, Any] = {
    # The server itself decides whether it answers while slots are missing.
    "require_full_coverage": False,
    # A slot that moved is noted by itself: reading the whole map anew closes connections that
    # other calls are using.
    "reinitialize_steps": 0,
}


def async_cluster(hosts: Hosts, options: dict[str, Any]) -> RedisCluster:
    """Make an asyncio client. It connects when it is first used.

    Args:
        hosts: nodes that are asked for the others.
        options: what the connections to each node take.
    """
    nodes = [redis.asyncio.cluster.ClusterNode(host, port) for host, port in hosts]
    client = redis.asyncio.RedisCluster(
        startup_nodes=nodes, retry=AsyncRetry(NoBackoff(), 0), **_HABITS, **options
    )
    # It takes no class of connections as an option.
    kind = PromptSSLConnection if options.get("ssl") else PromptConnection
    client.nodes_manager.connection_kwargs["connection_class"] = kind
    for node in client.nodes_manager.startup_nodes.values():
        node.connection_class = kind
    return client


def sync_cluster(hosts: Hosts, options: dict[str, Any]) -> SyncRedisCluster:
    """Make a blocking client. It asks for the nodes at once, so it raises the client's errors."""
    nodes = [redis.cluster.ClusterNode(host, port) for host, port in hosts]
    to_nodes = dict(options)
    is_tls = to_nodes.pop("ssl", False)
    # Only with a URL it takes a class of connections as an option.
    return redis.cluster.RedisCluster(
        url=f"redis://{hosts[0][0]}:{hosts[0][1]}",
        startup_nodes=nodes,
        retry=Retry(NoBackoff(), 0),
        connection_class=PatientSSLConnection if is_tls else PatientConnection,
        **_HABITS,
        **to_nodes,
    )


async def disconnect_idle(client: RedisCluster) -> None:
    """Close the connections that no call uses."""
    for node in client.get_nodes():
        await node.disconnect_free_connections()


async def aclose(client: RedisCluster) -> None:
    """Close a client's connections."""
    # However closing one node's connections ends, those of the others are closed.
    with suppress(RedisError, OSError):
        await client.aclose()
    # After an error the client counts as closed and leaves its connections open.
    for nodes in ("nodes_cache", "startup_nodes"):
        with suppress(RedisError, OSError):
            await client.nodes_manager.aclose(nodes)


async def ask_primaries(client: RedisCluster, words: Iterable[Any]) -> list[Any]:
    """Send a command to every node that owns slots; the replies."""
    await client.initialize()
    return [
        await client.execute_command(*words, target_nodes=node) for node in client.get_primaries()
    ]


def ask_primaries_sync(client: SyncRedisCluster, words: Iterable[Any]) -> list[Any]:
    """The blocking twin of ``ask_primaries``."""
    return [client.execute_command(*words, target_nodes=node) for node in client.get_primaries()]
