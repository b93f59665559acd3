"""Locks on files, which the system releases when their holder ends, however it ends.

``flock`` belongs to the open file: two opens in one process exclude each other, as two processes
do, and a child that inherits the file holds the lock with its parent. The second is wanted in one
place (the server holds the lock that says it lives) and undone everywhere else: the files are
closed in every child that is started by ``exec``, and a hook closes them after ``os.fork``.
"""

from __future__ import annotations

import fcntl
import os
import weakref
from typing import TYPE_CHECKING

from oxcart.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

_OPEN_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class FileLock:
    """A lock on a file, which is made when needed and never removed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._closer: weakref.finalize[..., FileLock] | None = None

    @property
    def is_held(self) -> bool:
        """Whether this process holds the lock; a forked child never does."""
        return self._file is not None

    @property
    def is_stale(self) -> bool:
        """Whether the held file was deleted or replaced, so that the lock excludes no process."""
        if self._file is None:
            return False
        try:
            at_path = self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        held = os.fstat(self._file)
        return (at_path.st_dev, at_path.st_ino) != (held.st_dev, held.st_ino)

    def try_acquire(self, *, shared: bool = False) -> bool:
        """Take the lock if it is free; True also if it is held already.

        Args:
            shared: take it together with others that share it.

        Raises:
            ConfigError: the file cannot be made or locked.
        """
        if self._file is not None:
            return True
        try:
            file = os.open(self._path, _OPEN_FLAGS, 0o600)
        except OSError as error:
            raise ConfigError(
                f"cannot open the lock file {self._path}: {error.strerror}"
            ) from error
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        except OSError as error:
            os.close(file)
            raise ConfigError(
                f"the file system of {self._path.parent} cannot lock files ({error.strerror}); "
                "choose a data folder on a local disk"
            ) from error
        self._file = file
        self._closer = weakref.finalize(self, os.close, file)
        # At exit the system closes it, after the exit handlers that need the lock.
        self._closer.atexit = False
        _held.add(self)
        return True

    def fileno(self) -> int:
        """The open file, to be handed to a child that shall hold the lock on."""
        if self._file is None:
            raise ValueError(f"the lock on {self._path} is not held")
        return self._file

    def release(self) -> None:
        """Close the file; the lock is free once no child has it open either.

        It is not unlocked explicitly: that would also take it from whoever inherited the file.
        """
        # Not by calling the finalizer, which does nothing any more while the program ends.
        if self._closer is not None and self._file is not None:
            self._closer.detach()
            os.close(self._file)
        self._file = self._closer = None
        _held.discard(self)


_held: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _release_in_child() -> None:
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_release_in_child)
