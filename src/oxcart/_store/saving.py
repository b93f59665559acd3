"""Moves the append-only file of a running server to another folder."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from oxcart.errors import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    import redis

_TIMEOUT_S = 5.0
_POLL_S = 0.02
_LIMIT_S = 300.0


def save_to(url: str, folder: Path) -> None:
    """Have a server write all of its data to a folder, and everything from now on too; blocks.

    Args:
        url: the server, which must allow its folder to be changed (``enable-protected-configs``).
        folder: exists; gets the subfolder ``appendonlydir``.

    Raises:
        StoreUnavailable: the data are not in the folder; the reason is in the message.
    """
    with _client(url) as client:
        client.execute_command("CONFIG", "SET", "dir", os.fsencode(folder))
        deadline = time.monotonic() + _LIMIT_S
        # A rewrite that was under way already goes to the old folder, so it does not count.
        _await_rewrite(client, deadline)
        client.bgrewriteaof()
        _await_rewrite(client, deadline)
        status = client.info("persistence")["aof_last_bgrewrite_status"]
    written = folder / "appendonlydir"
    is_complete = (written / "appendonly.aof.manifest").exists() and any(written.glob("*.base.*"))
    if status != "ok" or not is_complete:
        raise StoreUnavailable(f"the server could not write its data to {folder}: status {status}")


def refuse_writes(url: str) -> None:
    """Have a server refuse every write from now on, with NOREPLICAS; reads go on.

    Raises:
        StoreUnavailable: the server cannot be reached or refuses that too.
    """
    with _client(url) as client:
        client.config_set("min-replicas-to-write", 1)


def _await_rewrite(client: redis.Redis, deadline: float) -> None:
    while _is_rewriting(client):
        if time.monotonic() > deadline:
            raise StoreUnavailable(f"the server did not write its data within {_LIMIT_S:g} s")
        time.sleep(_POLL_S)


def _is_rewriting(client: redis.Redis) -> bool:
    info = client.info("persistence")
    return bool(info["aof_rewrite_in_progress"] or info["aof_rewrite_scheduled"])


@contextmanager
def _client(url: str) -> Iterator[redis.Redis]:
    import redis

    try:
        with redis.Redis.from_url(
            url, socket_connect_timeout=_TIMEOUT_S, socket_timeout=_TIMEOUT_S
        ) as client:
            yield client
    except (redis.RedisError, OSError) as error:
        raise StoreUnavailable(f"the server refuses: {error}") from error
