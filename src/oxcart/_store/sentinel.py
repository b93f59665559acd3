"""Clients of a master that Sentinels watch: each new connection goes to whom they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis.asyncio.sentinel
import redis.sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from oxcart._store.blocking_socket import PatientMasterConnection, PatientMasterSSLConnection
from oxcart._store.prompt import PromptMasterConnection, PromptMasterSSLConnection

if TYPE_CHECKING:
    from redis import Redis as SyncRedis
    from redis.asyncio import Redis

    from oxcart._store.address import Address

REPLY_S = 1.0
"""How long a Sentinel may take to answer; then the next one is asked."""


def async_master(address: Address, options: dict[str, Any]) -> Redis:
    """Make an asyncio client. It connects when it is first used.

    Args:
        address: the Sentinels, and the master's name.
        options: what the connections to the master take.
    """
    retry = AsyncRetry(NoBackoff(), 0)
    sentinels = redis.asyncio.sentinel.Sentinel(
        address.hosts, sentinel_kwargs=_for_sentinels(address, options) | {"retry": retry}
    )
    to_master = dict(options)
    is_tls = to_master.pop("ssl", False)
    client: Redis = sentinels.master_for(
        address.master,
        retry=retry,
        connection_class=PromptMasterSSLConnection if is_tls else PromptMasterConnection,
        **to_master,
    )
    return client


def sync_master(address: Address, options: dict[str, Any]) -> SyncRedis:
    """Make a blocking client. It connects when it is first used."""
    retry = Retry(NoBackoff(), 0)
    sentinels = redis.sentinel.Sentinel(
        address.hosts, sentinel_kwargs=_for_sentinels(address, options) | {"retry": retry}
    )
    to_master = dict(options)
    is_tls = to_master.pop("ssl", False)
    client: SyncRedis = sentinels.master_for(
        address.master,
        retry=retry,
        connection_class=PatientMasterSSLConnection if is_tls else PatientMasterConnection,
        **to_master,
    )
    return client


async def aclose(client: Redis) -> None:
    """Close a client's connections to the master and to the Sentinels."""
    pool: Any = client.connection_pool
    await client.aclose()
    await pool.sentinel_manager.aclose()


def close(client: SyncRedis) -> None:
    """Close a client's connections to the master and to the Sentinels."""
    pool: Any = client.connection_pool
    client.close()
    pool.sentinel_manager.close()


def _for_sentinels(address: Address, options: dict[str, Any]) -> dict[str, Any]:
    """What the connections to the Sentinels take: the same ways, with a login of their own."""
    kept = {
        name: value for name, value in options.items() if name.startswith(("ssl", "socket_connect"))
    }
    return kept | dict(address.sentinel_login) | {"socket_timeout": REPLY_S, "protocol": 2}
