"""The server's private folder: who may enter, what lies in it, where the server is reached."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime  # msgspec reads the record's annotations
from hashlib import sha256
from pathlib import Path
from stat import S_IMODE
from typing import BinaryIO
from urllib.parse import quote

import msgspec

from oxcart._private_files import make_private_folder, tighten_data_folder
from oxcart.errors import ConfigError

_PRIVATE = 0o700


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRecord:
    """What ``server.json`` says: how to reach the folder's server, and which one ran last.

    It is written by the owner only and stays when the server stops, so that the next one has the
    same password and, if it is free, the same port.
    """

    directory: str
    """The folder it was written for; a copied folder's record is not believed."""
    port: int
    """On 127.0.0.1."""
    socket: str | None
    """Path of the unix socket; None where none can be made."""
    password: str = field(repr=False)
    pid: int | None = None
    """The server's process; None when it was not started yet or was stopped."""
    started_at: datetime | None = None

    @property
    def url(self) -> str:
        """The best way for redis-py: the unix socket, else the port."""
        if self.socket is None:
            return self.port_url
        return f"unix://:{self.password}@{quote(self.socket)}?db=0"

    @property
    def port_url(self) -> str:
        """The way for everything else (Node, redis-cli)."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"


class ServerFolder:
    """The folder ``valkey`` in the data folder, for its owner's eyes only."""

    def __init__(self, data_dir: Path) -> None:
        self.path = (data_dir / "valkey").resolve()
        self.owner_lock = self.path / "owner.lock"
        """Held by the process that started or adopted the server."""
        self.users_lock = self.path / "users.lock"
        """Shared by the processes that joined."""
        self.server_lock = self.path / "server.lock"
        """Held by the server itself: free means that no server lives."""
        self.record = self.path / "server.json"
        self.config = self.path / "valkey.conf"
        self.log = self.path / "valkey.log"
        self.append_only = self.path / "appendonlydir"
        self.manifest = self.append_only / "appendonly.aof.manifest"
        """The list of the append-only files, without which a server starts empty."""

    def prepare(self) -> None:
        """Make the folder, or make sure that the one that is there is private.

        Several processes may do so at once: no file is written here.

        Raises:
            ConfigError: it cannot be made or written, or belongs to another user.
        """
        try:
            make_private_folder(self.path)
            tighten_data_folder(self.path.parent)
            status = self.path.stat()
            # Its owner could read the password or put in a configuration that runs programs.
            if status.st_uid != os.geteuid():
                raise ConfigError(
                    f"{self.path} belongs to user {status.st_uid}, not to {os.geteuid()} who runs "
                    "this; run it as that user, or set OXCART_DATA_DIR to another folder"
                )
            if S_IMODE(status.st_mode) != _PRIVATE:
                self.path.chmod(0o700)
        except OSError as error:
            raise ConfigError(
                f"the data folder {self.path.parent} cannot be used ({error.strerror}: "
                f"{error.filename}); make it writable, or set OXCART_DATA_DIR to another folder"
            ) from error

    def open_log(self) -> BinaryIO:
        """The log, to be added to."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        return os.fdopen(os.open(self.log, flags, 0o600), "ab")

    def read_record(self) -> ServerRecord | None:
        """The record, or None if there is none that was written for this folder."""
        try:
            record = msgspec.json.decode(self.record.read_bytes(), type=ServerRecord)
        except (OSError, msgspec.DecodeError):
            return None
        return record if record.directory == self._name else None

    def write_record(self, record: ServerRecord) -> None:
        """Replace the record in one step, so that a reader sees the old or the new one."""
        self.write_private(self.record, msgspec.json.format(msgspec.json.encode(record)))

    def keep_out_of_version_control(self) -> None:
        """The folder may lie in somebody's project, and holds a password and their jobs."""
        ignore = self.path / ".gitignore"
        if not ignore.exists():
            self.write_private(ignore, b"*\n")

    def new_record(self, *, is_port_taken: bool) -> ServerRecord:
        """Where the next server shall be reached: where the last one was, if that is free.

        Args:
            is_port_taken: the last port turned out to be somebody else's.
        """
        last = self.read_record()
        return ServerRecord(
            directory=self._name,
            port=_free_port(last.port if last and not is_port_taken else None),
            socket=self._socket_path(),
            password=last.password if last else secrets.token_urlsafe(32),
        )

    def write_private(self, path: Path, content: bytes) -> None:
        """Write a file that only its owner may read, in one step; under the owner's lock only."""
        beside = path.with_name(f"{path.name}.new")
        beside.unlink(missing_ok=True)
        file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "wb") as stream:
            stream.write(content)
        beside.replace(path)

    @property
    def _name(self) -> str:
        """The folder as text that JSON can hold, whatever bytes are in its name."""
        return os.fsencode(self.path).decode("utf-8", "backslashreplace")

    def _socket_path(self) -> str | None:
        """The first place where a unix socket can be made.

        The path of a socket has room for about 100 bytes, and not every file system has sockets.
        The temporary folder is no alternative: others could have made the place first.
        """
        places = [self.path / "valkey.sock"]
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        if runtime and _is_private(Path(runtime)):
            digest = sha256(os.fsencode(self.path)).hexdigest()[:16]
            places.append(Path(runtime, f"oxcart-{digest}.sock"))
        return next((str(place) for place in places if _can_hold_socket(place)), None)


def _free_port(wanted: int | None) -> int:
    """The wanted port of 127.0.0.1 if it is free, else any that is."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        # As the server itself: connections of the last one that linger do not count.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if wanted is not None:
            with suppress(OSError):
                trial.bind(("127.0.0.1", wanted))
                return wanted
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def _is_private(folder: Path) -> bool:
    """Whether only this user can make files in a folder."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    return folder.is_dir() and status.st_uid == os.geteuid() and S_IMODE(status.st_mode) == _PRIVATE


def _can_hold_socket(path: Path) -> bool:
    """Try it; what a crashed server left there is removed, as no server lives."""
    try:
        str(path).encode()  # a URL cannot hold any other name
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
            trial.bind(str(path))
        path.unlink()
    except (OSError, UnicodeEncodeError):
        return False
    return True
