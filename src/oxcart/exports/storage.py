"""Where finished exports are kept: a local folder, behind what an object store can do too."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

from oxcart._private_files import make_private_folder
from oxcart.exports.errors import ExportError, StorageFull
from oxcart.exports.writers.hashing import HashingSink

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

_KEY = re.compile(r"[A-Za-z0-9_-]{1,200}(\.[a-z0-9]{1,10})?")
_PART = re.compile(rf"\.(?P<key>{_KEY.pattern})\.[0-9a-f]{{16}}\.part")
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_FILE = frozenset({errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENODEV})
"""Nothing there, a symbolic link, a socket or a device."""
_BUFFER_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A published file."""

    key: str
    size_bytes: int
    sha256: str
    """In hexadecimal."""


class Upload(Protocol):
    """A file being written. Nobody can see it before it is published."""

    def write(self, data: bytes, /) -> int:
        """Take all the bytes.

        Raises:
            StorageFull: there is no room left.
        """
        ...

    def publish(self) -> StoredFile:
        """Make the file durable and visible, in the place of an earlier one of the same key."""
        ...


class Storage(Protocol):
    """Keeps files by key. A key is one name: letters, digits, ``-``, ``_`` and an extension."""

    def create(self, key: str) -> AbstractContextManager[Upload]:
        """Begin a file; what crashed attempts at the same key left is removed.

        At the end of the context a file that was not published is dropped. An attempt that is
        still under way elsewhere can no longer publish.
        """
        ...

    def open(self, key: str) -> BinaryIO:
        """Open a published file for reading.

        Raises:
            FileNotFoundError: there is none.
        """
        ...

    def size(self, key: str) -> int | None:
        """Return a published file's length in bytes, or None if there is none."""
        ...

    def delete(self, key: str) -> None:
        """Remove the file, if there is one, and what crashed attempts left."""
        ...

    def list_keys(self) -> Iterable[str]:
        """Return the keys of all files: of published ones and of those that are being written."""
        ...

    def local_path(self, key: str) -> Path | None:
        """Return where the file lies on this machine, or None if it does not."""
        ...


class LocalStorage:
    """Keeps files in a folder, which is made when it is first needed.

    Args:
        folder: must be on one file system, and shared by the workers and the API.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def create(self, key: str) -> Iterator[Upload]:
        """Begin a file; see ``Storage.create``."""
        target = self._path(key)
        with _room_checked(self.folder):
            make_private_folder(self.folder)
            # An older attempt whose lock was lost may still be writing. Without its file it
            # cannot publish over what this attempt is going to publish.
            self._remove_leftovers(key)
            upload = _LocalUpload(target)
        try:
            yield upload
        finally:
            upload.drop()

    def open(self, key: str) -> BinaryIO:
        """Open a published file; see ``Storage.open``.

        Only a file that lies in the folder itself: never one that a link leads to, nor a pipe.
        """
        path = self._path(key)
        try:
            descriptor = os.open(path, _OPEN_FLAGS)
        except OSError as error:
            if error.errno in _NO_FILE:
                raise FileNotFoundError(error.errno, error.strerror, str(path)) from error
            raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise FileNotFoundError(errno.ENOENT, "not a regular file", str(path))
        return os.fdopen(descriptor, "rb")

    def size(self, key: str) -> int | None:
        """Return the length; see ``Storage.size``."""
        try:
            status = self._path(key).lstat()
        except FileNotFoundError:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def delete(self, key: str) -> None:
        """Remove the file; see ``Storage.delete``."""
        self._path(key).unlink(missing_ok=True)
        self._remove_leftovers(key)

    def list_keys(self) -> set[str]:
        """Return the keys of all files; see ``Storage.list_keys``."""
        try:
            names = [entry.name for entry in os.scandir(self.folder) if not entry.is_dir()]
        except FileNotFoundError:
            return set()
        keys = (part["key"] if (part := _PART.fullmatch(name)) else name for name in names)
        return {key for key in keys if _KEY.fullmatch(key)}

    def local_path(self, key: str) -> Path:
        """Return where the file lies, or would lie."""
        return self._path(key)

    def _path(self, key: str) -> Path:
        # Keys come from ids in the database and in URLs; none may lead out of the folder.
        if not _KEY.fullmatch(key):
            raise ExportError(f"{key!r} cannot be the key of a stored file")
        return self.folder / key

    def _remove_leftovers(self, key: str) -> None:
        for leftover in self.folder.glob(f".{key}.*.part"):
            leftover.unlink(missing_ok=True)


class _LocalUpload:
    """A file written beside its final place and renamed into it."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._beside = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(self._beside, flags, 0o600)
        self._file = os.fdopen(descriptor, "wb", buffering=_BUFFER_BYTES)
        self._hashing = HashingSink(self._file)
        self._is_done = False

    def write(self, data: bytes, /) -> int:
        with _room_checked(self._target.parent):
            return self._hashing.write(data)

    def publish(self) -> StoredFile:
        with _room_checked(self._target.parent):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._beside.replace(self._target)
            self._is_done = True
            _sync_folder(self._target.parent)
        return StoredFile(
            key=self._target.name,
            size_bytes=self._hashing.size_bytes,
            sha256=self._hashing.sha256,
        )

    def drop(self) -> None:
        """Close the file, and remove it unless it was published."""
        # On a full disk closing fails too, because it writes what is buffered.
        with suppress(OSError):
            self._file.close()
        if not self._is_done:
            self._beside.unlink(missing_ok=True)


@contextmanager
def _room_checked(folder: Path) -> Iterator[None]:
    """Turn "no room" into an error that says where."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull(
                f"no room left for the export in {folder}: {error.strerror}; nothing was kept of it"
            ) from error
        raise


def _sync_folder(folder: Path) -> None:
    """Make a rename durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
