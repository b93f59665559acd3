"""Programs of this command that another one starts, as processes of their own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from oxcart.cli.lifeline import VARIABLE

STOP_S = 40.0
"""How long programs may take to stop before they are killed: longer than a worker's grace."""


class Children:
    """Child processes that end together with this one.

    Each is in a session of its own: a Ctrl-C in the terminal reaches this process alone, which
    stops them in order. A pipe tells them if this process was killed.

    Args:
        stop_s: how long they may take to stop before they are killed.
    """

    def __init__(self, *, stop_s: float = STOP_S) -> None:
        self._stop_s = stop_s
        self._read_end, self._write_end = os.pipe()
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._starting = 0

    @property
    def pids(self) -> set[int]:
        """The processes that were not seen to end."""
        running = (one for one in self._processes.values() if one.returncode is None)
        return {process.pid for process in running}

    @property
    def is_starting(self) -> bool:
        """Whether there may be a process that is not known yet."""
        return self._starting > 0

    async def start(
        self, name: str, *arguments: str, environ: Mapping[str, str], fds: Sequence[int] = ()
    ) -> asyncio.subprocess.Process:
        """Start ``oxcart`` with arguments.

        Args:
            name: what it is called in messages; it takes the place of one of that name that ended.
            *arguments: of the command.
            environ: its environment.
            fds: open files that it inherits.
        """
        self._starting += 1
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "oxcart",
                *arguments,
                env={**environ, VARIABLE: str(self._read_end)},
                pass_fds=(self._read_end, *fds),
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
            self._processes[name] = process
        finally:
            self._starting -= 1
        return process

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

    async def first_to_end_before(self, stop: asyncio.Event) -> tuple[str, int] | None:
        """Wait until one ends, its name and exit code; or nothing, when an event is set first."""
        async with asyncio.TaskGroup() as group:
            ended = group.create_task(self.first_to_end())
            stopped = group.create_task(stop.wait())
            await asyncio.wait((ended, stopped), return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if not ended.done():
                ended.cancel()
                return None
        return ended.result()

    def terminate(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Tell those that still run to stop, the last started first."""
        for process in reversed(self._processes.values()):
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.send_signal(number)

    async def stop(self) -> dict[str, int]:
        """Stop them all at the same time; those that do not end in time are killed.

        Returns:
            Their exit codes by name; negative is the signal that ended one.
        """
        self.terminate()
        try:
            async with asyncio.timeout(self._stop_s):
                for process in list(self._processes.values()):
                    await process.wait()
        except TimeoutError:
            self._kill()
        return {name: await process.wait() for name, process in self._processes.items()}

    def _kill(self) -> None:
        for process in self._processes.values():
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()

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
