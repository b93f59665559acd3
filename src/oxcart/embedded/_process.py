"""A running valkey-server as its owner holds it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oxcart.embedded._locks import FileLock

log = logging.getLogger("oxcart.embedded")

_POLL_S = 0.01
_KILL_S = 5.0

_left_behind: list[int] = []
"""Children that may outlive this process: the system has to be asked for their exit codes."""


class ServerProcess:
    """One server, started by this process or found again.

    Args:
        lock: the lock that the server holds while it lives.
        child: the server, if this process started it.
        pid: the server, if another process did.
    """

    def __init__(
        self, lock: FileLock, *, child: subprocess.Popen[bytes] | None = None, pid: int = 0
    ) -> None:
        self.pid = child.pid if child is not None else pid
        self._lock = lock
        self._child = child

    def has_ended(self) -> bool:
        """Whether the server is gone; only the folder's owner may ask."""
        if self._child is not None:
            return self._child.poll() is not None
        # A process id may be another program's by now, and a dead process that its parent does
        # not wait for keeps its own: only the lock knows.
        if not self._lock.try_acquire():
            return False
        self._lock.release()
        return True

    def reap(self) -> None:
        """Wait for a server that is known to have ended, as its parent must."""
        if self._child is not None:
            self._child.wait()

    def stop(self, *, limit_s: float) -> None:
        """End the server: it finishes its append-only file, or is killed when the time is up."""
        if self.has_ended():
            return
        self._signal(signal.SIGTERM)
        if self._ends_within(limit_s):
            return
        log.warning("embedded.killed", extra={"pid": self.pid, "after_s": limit_s})
        self._signal(signal.SIGKILL)
        if not self._ends_within(_KILL_S):
            log.error("embedded.still_there", extra={"pid": self.pid})

    def hand_over(self) -> None:
        """Let the server run on without this process."""
        if self._child is not None:
            leave_behind(self._child)

    def forget(self) -> None:
        """Let go of the process without touching it, in a forked child: it is the parent's."""
        if self._child is not None:
            # Else a warning says that a child, which is none, still runs.
            self._child.returncode = 0

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def _ends_within(self, limit_s: float) -> bool:
        deadline = time.monotonic() + limit_s
        while not self.has_ended():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True


def leave_behind(child: subprocess.Popen[bytes]) -> None:
    """Stop managing a child process without ending it."""
    # Else a warning says that a child still runs.
    child.returncode = 0
    _left_behind.append(child.pid)


def reap_left_behind() -> None:
    """Collect the children that were left behind and have ended, so that no zombies remain."""
    for pid in list(_left_behind):
        try:
            has_ended = os.waitpid(pid, os.WNOHANG) != (0, 0)
        except ChildProcessError:  # collected already, or the parent's in a forked child
            has_ended = True
        if has_ended:
            _left_behind.remove(pid)
