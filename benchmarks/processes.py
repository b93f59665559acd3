"""An adapter as a process: what it is told, what it answers, and how it is ended."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.environments import Environment
from benchmarks.protocol import Order, rss_bytes
from benchmarks.systems import ROOT, System

END_S = 45.0
"""How long an adapter may take to end after its last answer."""


class AdapterFailed(Exception):
    """An adapter ended or stayed silent where an answer was due; says what it wrote."""


class AdapterProcess:
    """A running adapter; leaving its ``with`` block ends it, by force if need be.

    Args:
        system: whose adapter.
        environment: what runs it.
        role: ``enqueue`` or ``work``.
        order: what it is to do.
        log: the file that takes what it writes on stderr.
    """

    def __init__(
        self, system: System, environment: Environment, role: str, order: Order, log: Path
    ) -> None:
        self._name = f"{system.name} {role}"
        self._log = log
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                [*environment.command, str(system.adapter), role],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                cwd=ROOT,
                env={**os.environ, **environment.variables},
                start_new_session=True,
            )
        self._tell(order)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def answer(self, within: float) -> dict[str, Any]:
        """The next answer.

        Args:
            within: seconds that it may take.

        Raises:
            AdapterFailed: there was none.
        """
        try:
            answer = self._answers.get(timeout=within)
        except queue.Empty:
            raise AdapterFailed(
                f"{self._name} said nothing for {within:.0f} s{self._said()}"
            ) from None
        if answer is None:
            raise AdapterFailed(f"{self._name} ended too early{self._said()}")
        return answer

    def rss_bytes(self) -> int:
        """Its memory that is resident now."""
        return rss_bytes(self._process.pid)

    def wait(self) -> None:
        """Wait until it has ended by itself.

        Raises:
            AdapterFailed: it did not, or it failed.
        """
        try:
            code = self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            raise AdapterFailed(f"{self._name} did not end within {END_S:.0f} s") from None
        if code:
            raise AdapterFailed(f"{self._name} ended with {code}{self._said()}")

    def __enter__(self) -> Self:
        """Return the process itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it with all processes that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _tell(self, order: Order) -> None:
        if self._process.stdin is not None:
            # One that ended at once is told by its silence.
            with suppress(BrokenPipeError), self._process.stdin as told:
                told.write(json.dumps(asdict(order)))

    def _read(self) -> None:
        for line in self._process.stdout or ():
            # Libraries may print what they like; answers are objects.
            if line.startswith("{"):
                self._answers.put(json.loads(line))
        self._answers.put(None)

    def _said(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return ": " + " / ".join(lines[-3:]) if lines else ""
