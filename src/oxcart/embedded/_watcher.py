"""The owner's hold on the process that watches over its server."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oxcart.embedded._folder import ServerFolder

from oxcart.embedded._process import leave_behind
from oxcart.embedded._watch import identity_of

log = logging.getLogger("oxcart.embedded")

INTERVAL_S = 5.0
"""How long a server whose owner was killed is kept for the next start."""

_PYTHONS = ("python", "pypy")
_SCRIPT = Path(__file__).with_name("_watch.py")


def can_watch() -> bool:
    """Whether there is a Python program to run the watcher.

    There is none in a frozen application, and in web servers that embed Python. There the server
    flushes its file itself, and outlives a killed owner until the next start takes it over.
    """
    name = Path(sys.executable or "").name.lower()
    return not getattr(sys, "frozen", False) and name.startswith(_PYTHONS) and _SCRIPT.exists()


class Watcher:
    """Starts and ends the process; see ``_watch`` for what it does.

    Args:
        folder: the server's folder.
    """

    def __init__(self, folder: ServerFolder) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, pid: int) -> None:
        """Start the watcher, unless it runs or there can be none.

        Args:
            pid: the server's process.
        """
        if self._process is not None:
            if self._process.poll() is None:
                return
            log.warning("embedded.watcher_died", extra={"exit_code": self._process.returncode})
            self.end()
        if can_watch():
            try:
                self._process = self._spawn(pid)
            except OSError as error:
                log.warning("embedded.unwatched", extra={"error": str(error)})

    def end(self) -> None:
        """End the watcher at once, so that it does nothing when this process ends."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._let_go(self._process)

    def hand_over(self) -> None:
        """Let the watcher run on, which stops the server once no process uses it."""
        if self._process is not None:
            leave_behind(self._process)
            self._let_go(self._process)

    def forget(self) -> None:
        """Let go of the watcher in a forked child: it is the parent's."""
        if self._process is not None:
            # Else a warning says that a child, which is none, still runs.
            self._process.returncode = 0
            self._let_go(self._process)

    def _spawn(self, pid: int) -> subprocess.Popen[bytes]:
        with self._folder.open_log() as output:
            return subprocess.Popen(  # noqa: S603  # this very Python, no shell
                [sys.executable, "-I", "-S", _SCRIPT, *self._arguments(pid)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=output,
                cwd=os.sep,
                start_new_session=True,
            )

    def _arguments(self, pid: int) -> list[str | Path]:
        folder = self._folder.path
        return [folder, identity_of(folder), str(pid), str(INTERVAL_S)]

    def _let_go(self, process: subprocess.Popen[bytes]) -> None:
        # The watcher waits for the last copy of this end of the pipe to be closed.
        if process.stdin is not None:
            process.stdin.close()
        self._process = None
