"""A Node process that runs BullMQ, and what a test can make it do."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import threading
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from tests.interop.live.runtime import SOURCES, Node

ANSWER_S = 60.0
CLOSE_S = 5.0


class NodeError(Exception):
    """A command threw in Node.

    Attributes:
        name: the name of the JavaScript error.
        message: its message.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


class PeerEnded(Exception):
    """The Node process ended while an answer was waited for."""


class NodePeer:
    """A Node process with one release of BullMQ.

    Args:
        node: the Node to run.
        folder: the folder that has ``node_modules``.
        package: the release: ``bullmq`` or ``bullmq5``.
        url: the server.
        log: the file that takes what it writes on stderr.
    """

    def __init__(self, node: Node, folder: Path, package: str, *, url: str, log: Path) -> None:
        self._log = log
        self._waiting: dict[int, Future[Any]] = {}
        self._numbers = itertools.count(1)
        self._notices: list[dict[str, Any]] = []
        self._has_ended = False
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                [node.program, str(SOURCES / "peer.mjs"), str(folder), package, url],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._commands: IO[str] = self._process.stdin
        self._lines: IO[str] = self._process.stdout
        # A thread, for a peer outlives the event loop of the test that started it.
        self._reader = threading.Thread(target=self._read, name=f"{package}-peer", daemon=True)
        self._reader.start()

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def notices(self, kind: str, **wanted: str) -> list[dict[str, Any]]:
        """What it told meanwhile, oldest first: ``event`` or ``error``."""
        return [
            notice
            for notice in list(self._notices)
            if notice["notice"] == kind
            and all(notice[name] == value for name, value in wanted.items())
        ]

    def errors(self) -> list[str]:
        """What queues, workers and event streams reported as errors."""
        return [f"{told['from']}: {told['message']}" for told in self.notices("error")]

    async def run(self, command: str, **arguments: Any) -> Any:
        """Run a command and wait for its result.

        Raises:
            NodeError: it threw.
            PeerEnded: the process ended.
        """
        number = next(self._numbers)
        future: Future[Any] = Future()
        self._waiting[number] = future
        try:
            line = json.dumps({"id": number, "command": command, **arguments})
            self._commands.write(f"{line}\n")
            self._commands.flush()
        except OSError as error:
            raise self._ended() from error
        if self._has_ended:  # nobody settles what is waited for from now on
            raise self._ended()
        async with asyncio.timeout(ANSWER_S):
            return await asyncio.wrap_future(future)

    async def reset(self) -> None:
        """Close all that was opened and forget all that was told."""
        await self.run("reset")
        self._notices.clear()

    def kill(self) -> None:
        """End the process without warning."""
        self._process.kill()
        self._clean_up()

    def close(self) -> None:
        """End the process: nicely, else without warning."""
        try:
            self._commands.close()
            self._process.wait(CLOSE_S)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
        self._clean_up()

    def _clean_up(self) -> None:
        self._process.wait()
        self._reader.join()
        self._lines.close()
        with suppress(OSError):  # what was buffered can no longer be written
            self._commands.close()

    def _read(self) -> None:
        for line in self._lines:
            told = json.loads(line)
            if "notice" in told:
                self._notices.append(told)
            else:
                self._settle(self._waiting.pop(told["id"]), told)
        self._has_ended = True
        for future in list(self._waiting.values()):
            if future.set_running_or_notify_cancel():
                future.set_exception(self._ended())

    def _settle(self, future: Future[Any], told: dict[str, Any]) -> None:
        if not future.set_running_or_notify_cancel():
            return  # the test that waited has given up
        if "error" in told:
            future.set_exception(NodeError(told["error"]["name"], told["error"]["message"]))
        else:
            future.set_result(told["result"])

    def _ended(self) -> PeerEnded:
        said = self._log.read_text().strip().splitlines()[-20:]
        return PeerEnded("\n".join(["the Node peer has ended; it said:", *said]))
