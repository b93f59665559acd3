"""The embedded server as its users see it."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from oxcart._model.duration import Duration, to_seconds
from oxcart.embedded._find import FoundServer, find_server
from oxcart.embedded._folder import ServerFolder
from oxcart.embedded._keeper import Keeper
from oxcart.embedded._launch import Launcher
from oxcart.embedded._locks import FileLock
from oxcart.embedded._process import ServerProcess, reap_left_behind
from oxcart.embedded._rescue import Rescue
from oxcart.embedded._watcher import Watcher
from oxcart.errors import ConfigError, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from types import TracebackType

log = logging.getLogger("oxcart.embedded")

_POLL_S = 0.02
_STOP_S = 10.0
_LOADING_S = 600.0
"""Longest wait for a server that says that it is loading: a big file takes its time."""


class EmbeddedValkey:
    """A private Valkey in a data folder, durable, shared by all processes that name the folder.

    The last process that leaves stops the server. If the server dies, its owner starts it again
    within a second; if the owner ends while others use the server, one of them becomes the owner.
    If the last process is killed, the server ends by itself after a few seconds unless the next
    start takes it over. A forked child of the owner uses the server and does not own it.

    Args:
        data_dir: the application's data folder; the server lives in its subfolder ``valkey``.
        start_timeout: longest wait for a server that does not answer. One that answers that it
            is still loading its data is waited for longer.
    """

    def __init__(self, data_dir: Path | str, *, start_timeout: Duration = "10s") -> None:
        self._folder = ServerFolder(Path(data_dir))
        self._limit_s = to_seconds(start_timeout, what="start_timeout")
        self._owner_lock = FileLock(self._folder.owner_lock)
        self._users_lock = FileLock(self._folder.users_lock)
        self._server_lock = FileLock(self._folder.server_lock)
        self._watcher = Watcher(self._folder)
        self._keeper = Keeper(self._look_after)
        self._mutex = threading.Lock()
        self._found: FoundServer | None = None
        self._process: ServerProcess | None = None
        self._looks_without_folder = 0
        self._logged: set[str] = set()
        _instances.add(self)

    def start(self) -> None:
        """Have a server: start one, take over one whose owner was killed, or join another's.

        Blocks until the server takes commands. Does nothing if it was called before.

        Raises:
            ConfigError: the wheel is missing, or the folder cannot be used.
            StoreUnavailable: the server did not start, or did not answer in time.
        """
        with self._mutex:
            if self._found is None:
                self._reach()

    def ensure(self) -> None:
        """Have a server again, after the connection was lost.

        A server that died is started again, by this process if the owner has ended.
        Returns at once if all is well.
        The address stays the same as long as the port is free, but read ``url`` again.

        Raises:
            ConfigError: as ``start``.
            StoreUnavailable: as ``start``.
        """
        with self._mutex:
            self._await_folder()
            found = find_server(self._folder)
            if found is None or found.is_loading or not self._has_role:
                self._reach()
            else:
                self._found = found

    def stop(self) -> None:
        """Leave the server, and stop it if no other process uses it; safe to call twice.

        The server writes its file to the end first; after 10 s it is killed.
        """
        with self._mutex:
            self._leave(_STOP_S)

    @property
    def url(self) -> str:
        """The server's address for redis-py, with the password: the unix socket if there is one."""
        return self._started().record.url

    @property
    def port_url(self) -> str:
        """The server's address on 127.0.0.1, with the password: for Node, redis-cli, Bull Board."""
        return self._started().record.port_url

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._started().pid

    @property
    def is_owner(self) -> bool:
        """Whether this process starts the server again if it dies."""
        return self._owner_lock.is_held

    @property
    def directory(self) -> Path:
        """The server's folder: its data, log and configuration."""
        return self._folder.path

    def __enter__(self) -> EmbeddedValkey:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        """Show the folder and the role; never the password."""
        role = "stopped" if self._found is None else "owner" if self.is_owner else "joined"
        return f"EmbeddedValkey({str(self._folder.path)!r}, {role})"

    @property
    def _has_role(self) -> bool:
        return self.is_owner or self._users_lock.is_held

    def _started(self) -> FoundServer:
        if self._found is None:
            raise ConfigError("the embedded Valkey is not running; call start() first")
        return self._found

    def _reach(self) -> None:
        reap_left_behind()
        self._folder.prepare()
        was_owner = self.is_owner
        launcher = Launcher(self._folder, self._server_lock)
        try:
            self._settle(self._await_server(launcher), launcher)
        except BaseException:
            if launcher.child is not None:
                # A server that never got ready has acknowledged nothing and need not end gently.
                self._process = ServerProcess(self._server_lock, child=launcher.child)
                self._stop_server(0)
                self._forget_role()
            elif not was_owner:
                self._forget_role()
            raise

    def _await_server(self, launcher: Launcher) -> FoundServer:
        """Look until a server answers, starting one whenever this process may and none lives."""
        begun = time.monotonic()
        deadline = begun + self._limit_s
        while True:
            if not self._owner_lock.try_acquire():
                # Before looking, so that the watcher cannot end what is about to be used.
                self._users_lock.try_acquire(shared=True)
            elif self._server_lock.try_acquire():
                if self._process is not None:
                    self._process.reap()
                self._watcher.start(launcher.launch())
            found = find_server(self._folder)
            now = time.monotonic()
            if found is not None and self._has_role:
                if not found.is_loading:
                    return found
                deadline = min(now + self._limit_s, begun + _LOADING_S)
            if now > deadline:
                raise StoreUnavailable(launcher.explain_silence(self._limit_s))
            time.sleep(_POLL_S)

    def _settle(self, found: FoundServer, launcher: Launcher) -> None:
        """Take the role that the locks gave."""
        if not self.is_owner:
            event = "embedded.joined"
        elif launcher.child is not None:
            event = "embedded.started"
            self._process = ServerProcess(self._server_lock, child=launcher.child)
        elif self._process is None or self._process.pid != found.pid:
            event = "embedded.adopted"
            self._process = ServerProcess(self._server_lock, pid=found.pid)
        else:
            event = "embedded.answers_again"
        self._found = found
        self._looks_without_folder = 0
        if self.is_owner:
            self._users_lock.release()
            self._watcher.start(found.pid)
        _active.add(self)
        self._keeper.start()
        log.info(event, extra={"pid": found.pid, "directory": str(self._folder.path)})

    def _look_after(self) -> None:
        """Start the owner's server or watcher again if it died; become the owner if there is none.

        If that fails, the next call of ``ensure`` tries again and raises the reason.
        """
        with self._mutex:
            if not self._has_role:
                return
            try:
                if self._is_folder_gone():
                    self._look_after_folder()
                elif self._process is not None:
                    self._look_after_server(self._process)
                elif self._owner_lock.try_acquire():
                    self._succeed_owner()
            except (OSError, ConfigError, StoreError) as error:
                log.error("embedded.lost", extra={"error": str(error)})  # noqa: TRY400  # expected
                self._keeper.end()

    def _is_folder_gone(self) -> bool:
        """Whether the files of the running server were deleted."""
        if self.is_owner:
            return self._owner_lock.is_stale or not self._folder.manifest.exists()
        return self._users_lock.is_stale

    def _look_after_folder(self) -> None:
        """Save the data at the second look, when whoever deletes the files is probably done."""
        self._looks_without_folder += 1
        if self._looks_without_folder > 1:
            self._restore_folder()

    def _restore_folder(self) -> bool:
        """Have the data on disk again; False while another process is working on that."""
        found = self._started()
        where = {"directory": str(self._folder.path), "pid": found.pid}
        if "gone" not in self._logged:
            log.error("embedded.folder_gone", extra=where)
        self._logged.add("gone")
        rescue = Rescue(self._folder, found, self._own_new_folder)
        try:
            if not rescue.run():
                return False
        except (OSError, ConfigError, StoreError) as error:
            rescue.refuse_writes()
            if "refused" not in self._logged:
                log.error("embedded.writes_refused", extra={**where, "error": str(error)})  # noqa: TRY400  # expected
            self._logged.add("refused")
            return False
        if self._process is not None:
            self._process.hand_over()
            self._process = None
        self._watcher.end()
        self._reach()
        self._logged.clear()
        return True

    def _await_folder(self) -> None:
        """Have the data on disk again if the folder was deleted, whichever process does it."""
        deadline = time.monotonic() + self._limit_s
        while self._has_role and self._is_folder_gone() and not self._restore_folder():
            if time.monotonic() > deadline:
                raise StoreUnavailable(
                    f"{self._folder.path} was deleted while its valkey-server ran, and its data "
                    "could not be saved yet; no write is accepted until they are"
                )
            time.sleep(_POLL_S)

    def _own_new_folder(self) -> bool:
        """Exchange the locks on deleted files for new ones; whether this process is the owner."""
        for lock in (self._owner_lock, self._users_lock):
            if lock.is_stale:
                lock.release()
        return self._owner_lock.try_acquire()

    def _look_after_server(self, process: ServerProcess) -> None:
        if process.has_ended():
            log.warning("embedded.died", extra={"pid": process.pid})
            self._reach()
        elif self._found is not None:
            self._watcher.start(self._found.pid)

    def _succeed_owner(self) -> None:
        """Take over the server of an owner that ended; the owner's lock is held already."""
        try:
            self._reach()
        except BaseException:
            self._owner_lock.release()
            raise

    def _leave(self, limit_s: float) -> None:
        """Give up the role, and stop the server if no other process uses it."""
        self._keeper.end()
        try:
            if self._has_role:
                try:
                    self._stop_if_last(limit_s)
                except ConfigError:  # the folder was deleted, and its locks with it
                    if self.is_owner:
                        self._stop_server(limit_s)
        finally:
            self._forget_role()
            reap_left_behind()

    def _stop_if_last(self, limit_s: float) -> None:
        """Stop the server under both locks, which no process can take that uses the server.

        A process that leaves gives up its own lock before it tries, and tries again if the others
        have left since: they may have failed because of it.
        """
        if not self.is_owner:
            self._users_lock.release()
        while self._owner_lock.try_acquire():
            if self._users_lock.try_acquire():
                self._stop_server(limit_s)
                return
            self._hand_over()
            if not self._users_lock.try_acquire():
                return
            self._users_lock.release()

    def _hand_over(self) -> None:
        """Leave the server and its watcher to the processes that share the server."""
        if self._process is not None:
            self._process.hand_over()
            self._process = None
        self._watcher.hand_over()
        self._owner_lock.release()

    def _stop_server(self, limit_s: float) -> None:
        if self._process is None:
            record = self._folder.read_record()
            if record is None or record.pid is None:
                return
            self._process = ServerProcess(self._server_lock, pid=record.pid)
        self._process.stop(limit_s=limit_s)
        self._record_end(self._process.pid)
        log.info("embedded.stopped", extra={"pid": self._process.pid})

    def _forget_role(self) -> None:
        self._keeper.end()
        self._watcher.end()
        self._process = self._found = None
        self._users_lock.release()
        self._owner_lock.release()
        _active.discard(self)

    def _record_end(self, pid: int) -> None:
        """Keep the address for the next server; that this one ended is for readers only."""
        record = self._folder.read_record()
        if record is not None and record.pid == pid:
            with suppress(OSError):
                self._folder.write_record(replace(record, pid=None, started_at=None))

    def _forget_in_child(self) -> None:
        """Be a mere user in a forked child; the locks' own hook has released them there."""
        self._mutex = threading.Lock()
        self._keeper.end()
        self._watcher.forget()
        if self._process is not None:
            self._process.forget()
            self._process = None


_instances: weakref.WeakSet[EmbeddedValkey] = weakref.WeakSet()
_active: set[EmbeddedValkey] = set()
"""Instances are kept until they stop, even if nothing else refers to them."""


def _stop_all() -> None:
    """The safety net for programs that end without ``stop()``; owners last."""
    for instance in sorted(_active, key=lambda each: each.is_owner):
        instance.stop()


def _forget_in_child() -> None:
    _active.clear()
    for instance in list(_instances):
        instance._forget_in_child()  # noqa: SLF001  # this module's own class


atexit.register(_stop_all)
os.register_at_fork(after_in_child=_forget_in_child)
