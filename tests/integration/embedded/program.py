"""The other process: reads commands, one JSON array a line, and answers each with a line."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import redis

from oxcart.embedded import EmbeddedValkey, _watcher


class Commands:
    """What the tests can ask for."""

    def __init__(self, data_dir: str) -> None:
        self._valkey = EmbeddedValkey(data_dir)

    def be_ready(self) -> bool:
        """Answer, which only a program can that has all its imports behind it."""
        return True

    def start(self) -> dict[str, Any]:
        self._valkey.start()
        return self._view()

    def ensure(self) -> dict[str, Any]:
        self._valkey.ensure()
        return self._view()

    def stop(self) -> bool:
        self._valkey.stop()
        return self._valkey.is_owner

    def push(self, count: int) -> int:
        """Write until told enough or until the server is gone; how many were acknowledged."""
        acknowledged = 0
        with redis.Redis.from_url(self._valkey.url) as client:
            try:
                for number in range(count):
                    client.rpush("pushed", number)
                    acknowledged += 1
            except redis.ConnectionError:
                pass
        return acknowledged

    def fork_and_exit(self) -> dict[str, Any]:
        """Fork a child that behaves as a whole program does at its end, and wait for it."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            owned = self._valkey.is_owner
            self._valkey.stop()
            os.write(writer, json.dumps({"is_owner": owned}).encode())
            sys.exit(0)
        os.close(writer)
        _, status = os.waitpid(child, 0)
        with os.fdopen(reader, "rb") as answer:
            return {"exit": status, "child": json.loads(answer.read())}

    def fork_and_stay(self) -> int:
        """Fork a child that outlives this process; its process id."""
        child = os.fork()
        if child == 0:
            os.close(0)
            os.close(1)
            signal.pause()
        return child

    def _view(self) -> dict[str, Any]:
        return {
            "url": self._valkey.url,
            "port_url": self._valkey.port_url,
            "pid": self._valkey.pid,
            "is_owner": self._valkey.is_owner,
        }


def main() -> None:
    data_dir, interval = sys.argv[1:]
    _watcher.INTERVAL_S = float(interval)
    commands = Commands(data_dir)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        command: Callable[..., Any] = getattr(commands, name)
        sys.stdout.write(json.dumps(command(*arguments)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
