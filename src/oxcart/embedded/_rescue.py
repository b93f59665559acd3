"""Saves the data of a server whose folder was deleted while it ran.

Such a server goes on in memory, and what it writes is on no disk. Its data are written to a folder
beside the deleted one first, because another process may have started an empty server in a new
folder of the same name; then the server is killed, which loses nothing, since it writes before it
acknowledges. The data are moved into the new folder, where the next server finds them, or stay
aside if the folder has a server already.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from oxcart._store.probe import identify
from oxcart._store.saving import refuse_writes, save_to
from oxcart.embedded._locks import FileLock
from oxcart.errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxcart.embedded._find import FoundServer
    from oxcart.embedded._folder import ServerFolder

log = logging.getLogger("oxcart.embedded")

_POLL_S = 0.02
_END_S = 10.0


class Rescue:
    """The rescue of one server; one process at a time may do it.

    Args:
        folder: the folder of the server, deleted or damaged.
        found: the server.
        own_folder: takes the lock of the folder's owner; whether this process has it.
    """

    def __init__(
        self, folder: ServerFolder, found: FoundServer, own_folder: Callable[[], bool]
    ) -> None:
        self._folder = folder
        self._found = found
        self._own_folder = own_folder
        self._aside = folder.path.with_name(f"{folder.path.name}-saved-{found.pid}")

    def run(self) -> bool:
        """Save the data and end the server; False while another process is doing that.

        Raises:
            ConfigError: the folder cannot be made.
            StoreUnavailable: the data could not be saved.
            OSError: files could not be made or moved.
        """
        self._folder.prepare()
        self._aside.mkdir(mode=0o700, exist_ok=True)
        lock = FileLock(self._aside / "rescue.lock")
        if not lock.try_acquire():
            return False
        try:
            # Before the data are saved, so that no other process starts an empty server meanwhile.
            is_owner = self._own_folder()
            if self._is_alive():
                save_to(self._found.record.port_url, self._aside)
                self._kill()
                self._move(is_owner=is_owner)
            self._clear()
        finally:
            lock.release()
        return True

    def refuse_writes(self) -> None:
        """Have the server acknowledge nothing more, as nothing reaches a disk."""
        with suppress(StoreError):  # it has ended
            if self._is_alive():
                refuse_writes(self._found.record.port_url)

    def _is_alive(self) -> bool:
        record = self._found.record
        # A server that is there and does not answer has the data still: that is an error.
        return _is_listening(record.port) and identify(record.port_url).pid == self._found.pid

    def _kill(self) -> None:
        # Not by SIGTERM: the server would delete the socket of a new server in the same place.
        with suppress(ProcessLookupError):
            os.kill(self._found.pid, signal.SIGKILL)
        deadline = time.monotonic() + _END_S
        while _is_listening(self._found.record.port):
            if time.monotonic() > deadline:
                raise StoreUnavailable(f"valkey-server {self._found.pid} did not end when killed")
            time.sleep(_POLL_S)

    def _move(self, *, is_owner: bool) -> None:
        """Put the data where the next server reads them, if this process may start it."""
        saved, place = self._aside / "appendonlydir", self._folder.append_only
        if not is_owner:
            log.error(
                "embedded.saved_aside",
                extra={"directory": str(self._folder.path), "saved_in": str(saved)},
            )
            return
        if place.exists():
            place.rename(self._aside / "damaged")
        saved.rename(place)
        self._folder.write_record(replace(self._found.record, pid=None, started_at=None))
        log.warning("embedded.folder_restored", extra={"directory": str(self._folder.path)})

    def _clear(self) -> None:
        """Remove the folder aside, unless it has data."""
        if not (self._aside / "appendonlydir").exists():
            shutil.rmtree(self._aside, ignore_errors=True)


def _is_listening(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0
