"""Parts of a trial: programs with their output, a proxy in a thread, the private Valkey."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.faults.proxy import FaultProxy


class Process:
    """A program of the trial, with its output in a file."""

    def __init__(
        self, words: Sequence[str], *, env: Mapping[str, str], log: Path, folder: Path
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                words, env=env, cwd=folder, stdout=output, stderr=output, start_new_session=True
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal."""
        if self.is_alive:
            self.process.send_signal(number)

    def kill(self) -> None:
        """End it without warning."""
        self.signal(signal.SIGKILL)
        self.process.wait()

    def wait(self, *, within: float = 60) -> int:
        """Wait for its end; gives the exit code."""
        return self.process.wait(within)

    def output(self) -> str:
        """What it printed."""
        return self.log.read_text(errors="replace")


class ProxyThread:
    """A fault proxy that runs in a thread with an event loop of its own."""

    def __init__(self, target: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._proxy = FaultProxy(target)
        self._is_ready = threading.Event()
        self._end: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._is_ready.wait(10)

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return self._proxy.url

    def do(self, action: Callable[[FaultProxy], object]) -> None:
        """Run an action on the proxy, in its thread."""
        done = threading.Event()

        def run() -> None:
            action(self._proxy)
            done.set()

        self._loop.call_soon_threadsafe(run)
        done.wait(10)

    def close(self) -> None:
        """Close every connection and end the thread."""
        if self._end is not None:
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        async with self._proxy.running():
            self._is_ready.set()
            await self._end.wait()


class EmbeddedServer:
    """The private Valkey of the trial's data folder, which the trial's programs start."""

    def __init__(self) -> None:
        self.folder = Path()
        """The data folder."""

    @property
    def record(self) -> dict[str, Any]:
        """What the folder says of its server."""
        path = self.folder / "valkey" / "server.json"
        until = time.monotonic() + 60
        while not path.exists() and time.monotonic() < until:
            time.sleep(0.05)
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.record["port"])

    @property
    def url(self) -> str:
        """How clients reach it."""
        record = self.record
        return f"redis://:{record['password']}@127.0.0.1:{record['port']}/0"

    @property
    def pid(self) -> int:
        """Its process; 0 when it does not run."""
        return int(self.record["pid"] or 0)

    def start(self) -> None:
        """Do nothing: the first program starts it."""

    def kill(self) -> None:
        """Kill it without warning; its owner starts it again."""
        if self.pid:
            send(self.pid, signal.SIGKILL)

    def remove(self) -> None:
        """Kill it for good."""
        if (self.folder / "valkey" / "server.json").exists():
            self.kill()


def send(pid: int, number: int) -> None:
    """Send a signal to a process that may have ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
