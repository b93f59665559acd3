"""Which server is used when none is named."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path

from oxcart._store.location import Location


def locate(redis_url: str | None, data_dir: str | PathLike[str]) -> Location:
    """Find the server: the URL given, else ``REDIS_URL``, else the private Valkey of a folder.

    Args:
        redis_url: the server's URL.
        data_dir: the folder of the private Valkey, which is started when it is first needed and
            stops with the program.
    """
    url = redis_url or os.environ.get("REDIS_URL", "").strip()
    if url:
        return Location.at(url)
    return Location(lambda: _embedded_url(Path(data_dir)))


def _embedded_url(data_dir: Path) -> str:
    from oxcart.embedded import shared_server

    return shared_server(data_dir).url
