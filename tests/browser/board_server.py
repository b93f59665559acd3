"""Bull Board as a process."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.support import wait_until_sync


class BoardServer:
    """Bull Board on a free loopback port.

    Args:
        node: the path of ``node``.
        program: the installed program.
        redis_url: the server whose queues it shows.
        log: the file that gets its output.
    """

    def __init__(self, node: str, program: Path, redis_url: str, log: Path) -> None:
        self.url = ""
        self._node = node
        self._program = program
        self._redis_url = redis_url
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it listens."""
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [self._node, str(self._program), self._redis_url],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
            )
        wait_until_sync(self._find_url, within=60, what="Bull Board to listen")

    def stop(self) -> None:
        """End it: it ends by itself when its input is closed."""
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _find_url(self) -> bool:
        assert self._process is not None
        output = self._log.read_text()
        if self._process.poll() is not None:
            raise AssertionError(f"Bull Board did not start:\n{output}")
        told = re.search(r'^{"port":(\d+)}$', output, re.MULTILINE)
        if told:
            self.url = f"http://127.0.0.1:{told[1]}"
        return bool(told)
