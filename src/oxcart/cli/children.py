"""The programs that a development server starts, as processes of their own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from oxcart.cli.lifeline import VARIABLE

STOP_S = 40.0
"""How long a program may take to stop before it is killed: longer than a worker's grace."""


class Children:
    """Child processes that end together with this one.

    Each is in a session of its own: a Ctrl-C in the terminal reaches this process alone, which
    stops them in order. A pipe tells them if this process was killed.
    """

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        self._processes: dict[str, asyncio.subprocess.Process] = {}

    async def start(self, name: str, *arguments: str, environ: Mapping[str, str]) -> None:
        """Start ``oxcart`` with arguments.

        Args:
            name: what it is called in messages.
            *arguments: of the command.
            environ: its environment.
        """
        self._processes[name] = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "oxcart",
            *arguments,
            env={**environ, VARIABLE: str(self._read_end)},
            pass_fds=(self._read_end,),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )

    async def first_to_end(self) -> tuple[str, int]:
        """Wait until one ends; its name and exit code."""
        async with asyncio.TaskGroup() as group:
            waits = {
                group.create_task(process.wait()): name for name, process in self._processes.items()
            }
            done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
        first = done.pop()
        return waits[first], first.result()

    async def stop(self) -> None:
        """Stop them, the last started first; those that do not end in time are killed."""
        for process in reversed(self._processes.values()):
            await _stop(process)

    async def __aenter__(self) -> Self:
        """Return the children themselves."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop them and let go of the lifeline."""
        try:
            await self.stop()
        finally:
            os.close(self._write_end)
            os.close(self._read_end)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
