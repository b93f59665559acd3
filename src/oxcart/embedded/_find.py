"""Finds a folder's server by asking it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oxcart._store.probe import identify
from oxcart.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from oxcart.embedded._folder import ServerFolder, ServerRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundServer:
    """A server that answered for a folder."""

    record: ServerRecord
    """How it is reached."""
    pid: int
    """Its process, by its own word."""
    is_loading: bool
    """Whether it is still reading its data and refuses commands."""


def find_server(folder: ServerFolder) -> FoundServer | None:
    """The folder's server if it answers now, with the folder's password and from this folder.

    The port is not tried where there is a socket: before the server is up, the port could be that
    of a stranger, who would be told the password.
    """
    record = folder.read_record()
    if record is None:
        return None
    try:
        identity = identify(record.url)
    except StoreError:
        return None
    if not _is_same(identity.directory, folder.path):
        return None
    return FoundServer(record=record, pid=identity.pid, is_loading=identity.is_loading)


def _is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one folder, also where case does not matter."""
    with suppress(OSError):
        return one.samefile(other)
    return False
