"""Whether a server can hold queues, asked once when a worker starts."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from oxcart._store.call import Call, command
from oxcart._store.store import Store
from oxcart.errors import ConfigError, StoreUnavailable

log = logging.getLogger("oxcart.worker")

OLDEST = (6, 2)
"""The first Redis that has all commands that the scripts use."""

_INFO: Call[Mapping[str, Any]] = command(("INFO",), lambda reply: reply)


async def check_server(store: Store) -> None:
    """Refuse a server that cannot run the scripts, and warn of one that may drop jobs.

    A server that cannot be reached, or does not tell about itself, is not judged.

    Raises:
        ConfigError: it is older than Redis 6.2, or no server of data at all.
    """
    try:
        infos = await store.run_everywhere(_INFO)
    except StoreUnavailable:
        return
    for info in infos:
        check_version(info)
    policies = {str(info.get("maxmemory_policy", "noeviction")) for info in infos}
    for policy in sorted(policies - {"noeviction"}):
        log.warning(
            "server.may_drop_jobs maxmemory_policy=%s: when its memory is full the server deletes "
            "keys, jobs among them; set maxmemory-policy to noeviction",
            policy,
        )


def check_version(info: Mapping[str, Any]) -> None:
    """Refuse a server by what it says of itself.

    Args:
        info: the reply to ``INFO``.

    Raises:
        ConfigError: it is older than Redis 6.2, or no server of data at all.
    """
    mode = info.get("redis_mode") or info.get("server_mode")
    if mode == "sentinel":
        raise ConfigError(
            "the Redis URL leads to a Sentinel; to reach the master that it watches, write "
            "redis+sentinel://host:26379/master-name"
        )
    version = str(info.get("redis_version", ""))  # Valkey says here which Redis it is like
    numbers = version.split(".")[:2]
    if all(number.isdecimal() for number in numbers) and _is_too_old(numbers):
        raise ConfigError(
            f"the server is Redis {version}; oxcart needs Redis 6.2 or newer, or Valkey"
        )


def _is_too_old(numbers: list[str]) -> bool:
    return tuple(int(number) for number in numbers) < OLDEST
