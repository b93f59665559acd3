"""Asks a server who it is, before any of the engine's connections exist.

The embedded server's start depends on it: a server counts as ready, as found again or as shared
only once it has said, with the right password, which process and which folder it is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from oxcart.errors import StoreTimeout, StoreUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerIdentity:
    """What a server says about itself."""

    pid: int
    """Its process id, in its own pid namespace."""
    directory: Path
    """The folder that its data files are in, with symbolic links resolved."""
    is_loading: bool
    """Whether it is still reading its data; until then it refuses most commands."""


def identify(url: str, *, limit: timedelta = timedelta(seconds=1)) -> ServerIdentity:
    """Ask the server at an address who it is; blocks.

    Args:
        url: what redis-py takes: ``redis://…`` or ``unix://…``, with the password in it.
        limit: longest wait for the connection and for each of the two answers.

    Returns:
        Its process, its folder and whether it is still loading.

    Raises:
        StoreTimeout: it took the connection and did not answer in time.
        StoreUnavailable: nobody is there, or the password is wrong.
    """
    # Whoever brings an own server never needs the client here, and it is slow to import.
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    seconds = limit.total_seconds()
    try:
        with redis.Redis.from_url(
            url,
            socket_connect_timeout=seconds,
            socket_timeout=seconds,
            retry=Retry(NoBackoff(), 0),
            protocol=2,  # two round trips less
        ) as client:
            info = client.info("server", "persistence")
            # Not by config_get, which replaces what is not text in a folder's name.
            _, directory = client.execute_command("CONFIG", "GET", "dir")
    except redis.TimeoutError as error:
        raise StoreTimeout(f"the server at {_place(url)} did not answer in time") from error
    except (redis.RedisError, OSError) as error:
        raise StoreUnavailable(f"the server at {_place(url)} cannot be used: {error}") from error
    return ServerIdentity(
        pid=int(info["process_id"]),
        directory=Path(os.fsdecode(directory)),
        is_loading=bool(info["loading"]),
    )


def _place(url: str) -> str:
    """Where a URL leads, without the password in it."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return unquote(parts.path)
    return f"{parts.hostname}:{parts.port or 6379}"
