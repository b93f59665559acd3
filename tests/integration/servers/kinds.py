"""The servers that queues may be in, each started when a test first needs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from tests.support import REDIS, SentinelTrio, ValkeyCluster, ValkeyServer

Server = ValkeyServer | ValkeyCluster | SentinelTrio


def _redis() -> ValkeyServer:
    if REDIS is None:
        pytest.skip("there is no redis-server on the path; apt-get install redis-server")
    return ValkeyServer(binary=REDIS)


KINDS: dict[str, Callable[[], Server]] = {
    "valkey": ValkeyServer,
    "redis": _redis,
    "cluster": ValkeyCluster,
    "sentinel": SentinelTrio,
}


@dataclass(frozen=True, slots=True)
class Site:
    """A running server and a prefix for one test's queues."""

    kind: str
    url: str
    prefix: str


class Servers:
    """One server of each kind, for a whole session."""

    def __init__(self) -> None:
        self._running: dict[str, Server] = {}

    def url(self, kind: str) -> str:
        """The URL of a server, started if it is not running yet."""
        return self.get(kind).url

    def get(self, kind: str) -> Server:
        """A server, started if it is not running yet."""
        server = self._running.get(kind)
        if server is None:
            server = KINDS[kind]()
            self._running[kind] = server
            server.start()
        return server

    def remove(self) -> None:
        """Kill them all and delete what they kept."""
        for server in self._running.values():
            server.remove()
