"""Worker processes and the ledger that their handlers keep."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).parent / "programs" / "worker.py"

QUICK: dict[str, Any] = {"lock": "1s", "stalled_interval": "500ms", "max_stalled": 1_000}
"""Options of a worker whose locks run out, and are missed, within a test's time."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """What handlers wrote down, whatever became of their process."""

    path: Path

    def lines(self, what: str, *, queue: str | None = None) -> list[dict[str, Any]]:
        """The lines of one kind, ``start`` or ``end``."""
        if not self.path.exists():
            return []
        text = self.path.read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        return [
            line
            for line in lines
            if line["what"] == what and (queue is None or line["queue"] == queue)
        ]

    def starts(self, *, queue: str | None = None) -> Counter[str]:
        """How often each job's handler was begun."""
        return Counter(line["job"] for line in self.lines("start", queue=queue))

    def ends(self, *, queue: str | None = None) -> Counter[str]:
        """How often each job's handler came to its end."""
        return Counter(line["job"] for line in self.lines("end", queue=queue))


class WorkerProcess:
    """A worker in a process of its own, on one of the loops of ``tests.loops``."""

    def __init__(
        self,
        *,
        url: str,
        prefix: str,
        queues: dict[str, int],
        ledger: Ledger,
        log: Path,
        options: dict[str, Any],
        loop: str = "uvloop",
    ) -> None:
        self._log = log
        arguments = {
            "url": url,
            "prefix": prefix,
            "queues": queues,
            "ledger": str(ledger.path),
            "options": options,
        }
        environment = {**os.environ, "TEST_LOOP": loop}
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", str(PROGRAM), json.dumps(arguments)],
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=environment,
            )

    @property
    def pid(self) -> int:
        """The process' id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it without warning; does nothing once it has ended."""
        if self.is_alive:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self, *, within: float = 20) -> int:
        """Wait for its end; gives the exit code."""
        return self._process.wait(within)

    def log_lines(self) -> list[str]:
        """What it logged, warnings and above."""
        return self._log.read_text().splitlines()
