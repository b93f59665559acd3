"""The program of the page that runs a worker of its own ends as the page says."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.docs.pages import ROOT
from tests.docs.session import snippets_of

from oxcart import Job, JobState, Queue, QueueEvents

PAGE = ROOT / "docs" / "how-to" / "worker-processes.md"
LONGEST_S = 60


@asynccontextmanager
async def program(folder: Path) -> AsyncIterator[Process]:
    """The program as a reader runs it."""
    path = folder / "resizer.py"
    [snippet] = [item for item in snippets_of(PAGE) if item.title == path.name]
    path.write_text(snippet.text, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(sys.executable, path, cwd=folder)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def started(queue: Queue, *, seconds: float) -> Job[Any]:
    """A job that the program has begun."""
    job = await queue.add("resize", {"image": 7, "seconds": seconds})
    async for event in QueueEvents(queue.name, after="0"):
        if event.name == "active":
            break
    return job


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_running_job_ends_before_the_program_does(
    number: signal.Signals, reader: Path
) -> None:
    async with asyncio.timeout(LONGEST_S), Queue("images") as queue, program(reader) as process:
        job = await started(queue, seconds=2)
        process.send_signal(number)

        assert await process.wait() == 0
        assert await job.state() == JobState.COMPLETED


async def test_second_signal_puts_the_running_job_back(reader: Path) -> None:
    async with asyncio.timeout(LONGEST_S), Queue("images") as queue, program(reader) as process:
        job = await started(queue, seconds=3600)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)

        assert await process.wait() == 0
        assert await job.state() == JobState.WAITING
