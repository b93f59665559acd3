"""Which server is used when none is named."""

from __future__ import annotations

import threading
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from oxcart._engine.environment import data_dir_or_default, environment, variable
from oxcart._store.address import check_redis_url
from oxcart._store.location import Location
from oxcart.errors import ConfigError

if TYPE_CHECKING:
    from oxcart.embedded import EmbeddedValkey

_servers: dict[Path, EmbeddedValkey] = {}
_guard = threading.Lock()


def locate(
    redis_url: str | None, data_dir: str | PathLike[str] | None, *, is_needed: bool = True
) -> Location:
    """Find the server: the URL given, else ``REDIS_URL``, else the private Valkey of a folder.

    An empty URL counts as not given, as an empty variable does.

    Args:
        redis_url: the server's URL.
        data_dir: the folder of the private Valkey, which is started when it is first needed and
            stops with the last program that uses it; without it ``OXCART_DATA_DIR``, and without
            that ``.oxcart``.
        is_needed: whether jobs wait in this server; if not, it is refused only when it is used.

    Raises:
        ConfigError: the URL cannot be used, or there is none in production.
    """
    url = redis_url or variable("REDIS_URL")
    if url:
        check_redis_url(url)
        return Location.at(url)
    if environment() == "production":
        if is_needed:
            _refuse_private_server()
        return Location(_refuse_private_server)
    folder = data_dir_or_default(data_dir)
    return Location(lambda: _server(folder).url, restore=lambda: _server(folder).ensure())


def _refuse_private_server() -> NoReturn:
    raise ConfigError(
        "REDIS_URL is not set, and this is production: set it to the server, as "
        "redis://host:6379/0, or pass redis_url; the private Valkey is for development alone and "
        "was not started"
    )


def _server(folder: Path) -> EmbeddedValkey:
    """The private Valkey of a folder, started: one for the whole process."""
    from oxcart.embedded import EmbeddedValkey

    with _guard:
        key = folder.resolve()
        server = _servers.get(key)
        if server is None:
            server = EmbeddedValkey(folder)
            server.start()
            _servers[key] = server
        return server
