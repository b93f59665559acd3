"""Watches over a server from a small process of its own: brings its file to disk, and ends it.

The owner starts it as a script with nothing but the standard library, so that it costs a few
megabytes. It has two duties.

*Disk.* Valkey can do it by itself every second, but while it does, it holds back what it should
write, up to two seconds, and acknowledges all the same: a server that is killed in such a moment
has lost it (2,000 of 15,000 writes in a trial with a slow disk). So the server is told to leave
that to others, then it always writes before it acknowledges, and this process calls ``fsync``
every second. It is no thread of the owner because a busy owner would put it off.

*End.* It waits at the end of a pipe that the owner holds open: the pipe ends when the owner does,
whichever way that is, on every Unix. (Linux could kill the server with its parent, but does so
when the *thread* that started it ends, macOS has nothing of the kind, and both would end a server
that other processes use.) Then, at intervals, it looks at the locks: once no process owns or shares
the server, it asks it to stop. A process that starts meanwhile takes the server over.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

_SYNC_S = 1.0
_STOP_S = 10.0
_POLL_S = 0.05
_FULL_SYNC = getattr(fcntl, "F_FULLFSYNC", None)  # macOS: its fsync stops at the disk's cache


class Syncer:
    """Brings the append-only files to disk.

    Args:
        append_only: the folder that they are in.
    """

    def __init__(self, append_only: Path) -> None:
        self._append_only = append_only
        self._sizes: dict[str, int] = {}

    def sync(self) -> list[str]:
        """Flush the files that grew since the last time; their names.

        There are two for a moment when the server begins a new one. What it rewrites, and the
        list of its files, it flushes itself.
        """
        sizes = {
            entry.name: entry.stat().st_size
            for entry in self._entries()
            if entry.name.endswith(".incr.aof")
        }
        grown = [name for name, size in sizes.items() if size != self._sizes.get(name)]
        for name in grown:
            with suppress(FileNotFoundError):
                flush(self._append_only / name)
        self._sizes = sizes
        return grown

    def _entries(self) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._append_only) as entries:
                return list(entries)
        except FileNotFoundError:
            return []


def flush(path: Path) -> None:
    """Have all that was written to a file on disk, whoever wrote it."""
    file = os.open(path, os.O_RDONLY)
    try:
        if _FULL_SYNC is not None:
            fcntl.fcntl(file, _FULL_SYNC)
        else:
            os.fsync(file)
    finally:
        os.close(file)


class Server:
    """The server of a folder that may be deleted, after which no process can find the server.

    Args:
        folder: the server's folder.
        identity: the folder's device and number, as the owner saw them.
        pid: the server's process.
    """

    def __init__(self, folder: Path, identity: str, pid: int) -> None:
        self.folder = folder
        self._identity = identity
        self._pid = pid

    def has_folder(self) -> bool:
        """Whether the folder is still the one that the server was started in."""
        return self._identity == identity_of(self.folder)

    def note_pid(self) -> None:
        """Remember the server's process for the time when its folder is gone."""
        if self.has_folder():
            with suppress(OSError, ValueError):
                record = json.loads((self.folder / "server.json").read_bytes())
                self._pid = record["pid"] or self._pid

    def is_ended(self) -> bool:
        """Kill the server unless another process is saving its data; True if it has ended."""
        aside = self.folder.with_name(f"{self.folder.name}-saved-{self._pid}")
        with ExitStack() as held:
            if aside.exists() and not _lock(held, aside / "rescue.lock"):
                return False
            # The number may be another program's by now.
            if str(self.folder / "valkey.conf") in _command_line(self._pid):
                with suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGKILL)
        return True


def watch(pipe: int, server: Server, interval_s: float) -> None:
    """Do both duties until there is nothing more to do.

    Args:
        pipe: ends when the owner does.
        server: the server.
        interval_s: how long a server without owner is kept for the next start, and between two
            looks.
    """
    folder = server.folder
    syncer = Syncer(folder / "appendonlydir")
    has_ended = False
    while not has_ended:
        has_ended = bool(select.select([pipe], [], [], _SYNC_S)[0])
        syncer.sync()
        server.note_pid()
    look_at = time.monotonic() + interval_s
    while True:
        time.sleep(min(_SYNC_S, interval_s))
        syncer.sync()
        if server.has_folder() and has_no_server(folder):
            return
        if time.monotonic() >= look_at:
            if is_settled(folder) if server.has_folder() else server.is_ended():
                return
            look_at += interval_s


def identity_of(folder: Path) -> str:
    """A folder's device and number; empty if it is not there."""
    try:
        status = folder.stat()
    except OSError:
        return ""
    return f"{status.st_dev}:{status.st_ino}"


def _command_line(pid: int) -> str:
    """How a process was started; empty if there is no such process."""
    if Path("/proc/self/cmdline").exists():  # small containers have no ps
        with suppress(OSError):
            return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes())
        return ""
    found = subprocess.run(  # noqa: S603  # fixed arguments, no shell
        ["ps", "-ww", "-o", "command=", "-p", str(pid)],  # noqa: S607  # /bin or /usr/bin
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    return found.stdout


def has_no_server(folder: Path) -> bool:
    """Whether the server has ended; a process that starts one has a watcher of its own."""
    with ExitStack() as held:
        return _lock(held, folder / "server.lock")


def is_settled(folder: Path) -> bool:
    """Look at the locks and stop a server that nobody needs; True if there is no more to do."""
    with ExitStack() as held:
        is_taken_over = not _lock(held, folder / "owner.lock")
        if is_taken_over or _lock(held, folder / "server.lock"):
            return True
        if not _lock(held, folder / "users.lock"):
            return False
        _stop(folder)
        return True


def _lock(held: ExitStack, path: Path) -> bool:
    """Take a lock until the end of the block, if it is free."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    held.callback(os.close, file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stop(folder: Path) -> None:
    """Ask the server to end, and keep others from the folder until it has."""
    # The record names the server that holds the lock: both change under the owner's lock only.
    pid = json.loads((folder / "server.json").read_bytes())["pid"]
    if pid is None:
        return
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_S
    while time.monotonic() < deadline:
        with ExitStack() as held:
            if _lock(held, folder / "server.lock"):
                return
        time.sleep(_POLL_S)


if __name__ == "__main__":
    place, seen, process, interval = sys.argv[1:]
    watch(sys.stdin.fileno(), Server(Path(place), seen, int(process)), float(interval))
