"""Other processes for these tests: a program that embeds a server and does what it is told."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

_PROGRAM = Path(__file__).with_name("program.py")
# Newer Pythons warn of every fork in a process with threads.
WARNINGS = ("-W", "error", "-W", "ignore:This process:DeprecationWarning")
_FOR_EVER_S = 3600.0


def is_running(pid: int) -> bool:
    """Whether a process is there and not merely waiting to be noticed by its parent."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


def processes_naming(folder: Path) -> dict[int, str]:
    """The processes whose command line names something in a folder."""
    listing = subprocess.run(
        ["ps", "-axww", "-o", "pid=,stat=,command="], capture_output=True, text=True, check=True
    ).stdout
    rows = (line.split(maxsplit=2) for line in listing.splitlines() if str(folder) in line)
    return {int(pid): command for pid, state, command in rows if not state.startswith("Z")}


def servers_of(folder: Path) -> list[int]:
    """The valkey-servers that run on a data folder."""
    found = processes_naming(folder / "valkey" / "valkey.conf")
    return [pid for pid, command in found.items() if "valkey-server" in command]


class Program:
    """A process of its own with one ``EmbeddedValkey``."""

    def __init__(self, data_dir: Path, *, watch_interval_s: float = _FOR_EVER_S) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *WARNINGS, _PROGRAM, data_dir, str(watch_interval_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.pid = self._process.pid

    def tell(self, command: str, *arguments: object) -> None:
        """Give a command without waiting for it to be done."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([command, *arguments]) + "\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        """The answer to the oldest command that was not answered yet."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the program ended"
        return json.loads(line)

    def ask(self, command: str, *arguments: object) -> Any:
        """Give a command and wait for its answer."""
        self.tell(command, *arguments)
        return self.hear()

    def kill(self) -> None:
        """End it without letting it do anything (SIGKILL)."""
        self._process.kill()
        self._close()

    def freeze(self) -> None:
        """Keep it from noticing anything until it is killed or thawed (SIGSTOP)."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        self._process.send_signal(signal.SIGCONT)

    def leave(self) -> int:
        """Let it run to its end; its exit code."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._close()

    def _close(self) -> int:
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        return code

    @property
    def has_ended(self) -> bool:
        """Whether it was killed or let go."""
        return self._process.returncode is not None
