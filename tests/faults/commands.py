"""``oxcart worker`` with its processes, as they are from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tests.faults.processes import Ledger
from tests.integration.cli.programs import environment
from tests.support import wait_until_sync

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parents[2]


class WorkerCommand:
    """``oxcart worker supervised:app`` and the processes that it starts.

    Args:
        folder: where it runs and logs.
        prefix: what all keys start with.
        ledger: what its jobs write down.
        url: the server; without one the private Valkey of the folder.
        lock: how long its locks last.
        output: the path of a pipe that it writes to, instead of the file that ``output`` reads.
        app: the application, a module of the programs' folder.
        before: a command that runs the command, such as ``nice``.
        options: more of the command.
        variables: more of its environment.
    """

    def __init__(
        self,
        *options: str,
        folder: Path,
        prefix: str,
        ledger: Ledger,
        url: str | None,
        lock: str = "30s",
        app: str = "supervised:app",
        before: Sequence[str] = (),
        output: str = "",
        **variables: str,
    ) -> None:
        given = {
            "TEST_PREFIX": prefix,
            "TEST_LEDGER": str(ledger.path),
            "TEST_LOCK": lock,
            "PYTHONPATH": f"{PROGRAMS}{os.pathsep}{ROOT}",
            **({} if url is None else {"REDIS_URL": url}),
            **variables,
        }
        self.log = folder / f"command-{len(list(folder.glob('command-*')))}.log"
        with (Path(output) if output else self.log).open("wb") as file:
            self.process = subprocess.Popen(
                [*before, sys.executable, "-m", "oxcart", "worker", app, *options],
                env=environment(folder, **given),
                cwd=folder,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self._seen: set[int] = set()

    def children(self) -> list[int]:
        """The processes that run jobs."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if int(fields[1]) == self.process.pid and b"\0worker\0" in words:
                found.append(int(entry.name))
        self._seen.update(found)
        return found

    def wait(self, *, within: float = 30) -> int:
        """Wait for its end; gives the exit code."""
        return self.process.wait(within)

    def output(self) -> str:
        """What it and its processes logged."""
        return self.log.read_text()

    def kill_all(self) -> None:
        """End whatever still runs, the one that starts others first."""
        self.children()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pid in self._seen:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
                wait_until_sync(partial(_has_ended, pid), what="a process to end")


def _has_ended(pid: int) -> bool:
    return not is_alive(pid)


def is_alive(pid: int) -> bool:
    """Whether a process of ours still runs; one that only waits to be reaped does not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"\0worker\0" in words and text.rpartition(")")[2].split()[0] not in "ZX"
