"""Which server is used when none is named."""

from __future__ import annotations

import os
import threading
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from oxcart._store.address import Address
from oxcart._store.location import Location

if TYPE_CHECKING:
    from oxcart.embedded import EmbeddedValkey

_servers: dict[Path, EmbeddedValkey] = {}
_guard = threading.Lock()


def locate(redis_url: str | None, data_dir: str | PathLike[str]) -> Location:
    """Find the server: the URL given, else ``REDIS_URL``, else the private Valkey of a folder.

    Args:
        redis_url: the server's URL.
        data_dir: the folder of the private Valkey, which is started when it is first needed and
            stops with the program.

    Raises:
        ConfigError: the URL is in no form that is known.
    """
    url = redis_url or os.environ.get("REDIS_URL", "").strip()
    if url:
        Address.parse(url)  # what is wrong with it is told now
        return Location.at(url)
    folder = Path(data_dir)
    return Location(lambda: _server(folder).url, restore=lambda: _server(folder).ensure())


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
