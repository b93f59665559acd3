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


def watch(pipe: int, folder: Path, interval_s: float) -> None:
    """Do both duties until there is nothing more to do.

    Args:
        pipe: ends when the owner does.
        folder: the server's folder.
        interval_s: how long a server without owner is kept for the next start, and between two
            looks.
    """
    syncer = Syncer(folder / "appendonlydir")
    has_ended = False
    while not has_ended:
        has_ended = bool(select.select([pipe], [], [], _SYNC_S)[0])
        syncer.sync()
    look_at = time.monotonic() + interval_s
    while True:
        time.sleep(min(_SYNC_S, interval_s))
        syncer.sync()
        if has_no_server(folder):
            return
        if time.monotonic() >= look_at:
            if is_settled(folder):
                return
            look_at += interval_s


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
    watch(sys.stdin.fileno(), Path(sys.argv[1]), float(sys.argv[2]))
