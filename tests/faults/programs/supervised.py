"""An application for ``oxcart worker``, with jobs that do to their process what real ones may.

Its settings are environment variables of the test's; see ``tests.faults.commands``.
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import json
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import oxcart
from oxcart.app import AppWorker

LONG_S = 100_000


class QuickApp(oxcart.App):
    """An application whose workers' locks run out within a test's time."""

    def worker(self, *args: Any, **options: Any) -> AppWorker:
        return super().worker(*args, lock=os.environ["TEST_LOCK"], **options)


if os.environ.get("TEST_DIES_AT_IMPORT"):
    os.kill(os.getpid(), signal.SIGKILL)
if Path(os.environ.get("TEST_FAILS_AT_IMPORT_IF", "/nowhere")).exists():
    raise RuntimeError("the database of the import is away")
if Path(os.environ.get("TEST_HANGS_AT_IMPORT_IF", "/nowhere")).exists():
    time.sleep(100_000)
if os.environ.get("TEST_LAST_WORDS"):
    atexit.register(print, os.environ["TEST_LAST_WORDS"])

app = QuickApp(prefix=os.environ["TEST_PREFIX"])
book = os.open(os.environ["TEST_LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def write(what: str) -> None:
    job = oxcart.current_job()
    line = {"what": what, "pid": os.getpid(), "job": job.job_id, "queue": job.queue}
    os.write(book, json.dumps(line).encode() + b"\n")


@app.job("work", queue="q")
async def work(ms: int = 1) -> str:
    """Take a while."""
    write("start")
    await asyncio.sleep(ms / 1_000)
    write("end")
    return "done"


@app.job("wait_for", queue="q")
async def wait_for(path: str) -> str:
    """Take until there is a file."""
    write("start")
    while not await asyncio.to_thread(Path(path).exists):  # noqa: ASYNC110  # the test makes it
        await asyncio.sleep(0.01)
    write("end")
    return "done"


@app.job("die", queue="q")
async def die(code: int | None = None) -> None:
    """End the process as the kernel does when memory runs out, or with an exit code."""
    write("start")
    if code is None:
        os.kill(os.getpid(), signal.SIGKILL)
    else:
        os._exit(code)


@app.job("die_when_cancelled", queue="q")
async def die_when_cancelled() -> None:
    """End the process as soon as the worker stops."""
    write("start")
    try:
        await asyncio.sleep(LONG_S)
    except asyncio.CancelledError:
        os._exit(1)


@app.job("freeze", queue="q")
async def freeze(seconds: int) -> str:
    """Call into C without letting go of the interpreter: no thread of the process can run."""
    write("start")
    left = seconds
    while left > 0:  # a signal wakes it
        left = ctypes.PyDLL(None).sleep(left)
    oxcart.current_job().ensure_lock()
    write("end")
    return "done"


def _block(seconds: float, once: Path) -> str:
    write("start")
    if not once.exists():
        once.touch()
        time.sleep(seconds)
    write("end")
    return "done"


@app.job("block", queue="q")
async def block(seconds: float, once: str) -> str:
    """Block the event loop, in the first run."""
    return _block(seconds, Path(once))


@app.job("block_timed", queue="q", timeout="1s")
async def block_timed(seconds: float, once: str) -> str:
    """The same with a time-out, which the blocked loop cannot enforce."""
    return _block(seconds, Path(once))


@app.job("be_busy", queue="q")
async def be_busy(seconds: float) -> str:
    """Keep the event loop busy without blocking it."""
    write("start")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.5)  # noqa: ASYNC251  # the load
        await asyncio.sleep(0)
    write("end")
    return "done"


@app.job("talk", queue="q")
async def talk(lines: int) -> str:
    """Log much."""
    write("start")
    for number in range(lines):
        logging.getLogger("talk").warning("line %d", number)
        if number % 100 == 0:
            await asyncio.sleep(0)
    write("end")
    return "done"


@app.job("leave_threads", queue="q")
async def leave_threads(count: int) -> str:
    """Leave threads that never end, and that the interpreter would wait for."""
    write("start")
    for _ in range(count):
        threading.Thread(target=threading.Event().wait).start()
    write("end")
    return "done"


@app.job("ignore_cancellation", queue="q")
async def ignore_cancellation() -> None:
    """Go on for ever."""
    write("start")
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.1)


@app.job("sleep_in_pool", queue="q")
async def sleep_in_pool() -> None:
    """Wait for a thread of the loop's own pool that cannot be interrupted."""
    write("start")
    await asyncio.to_thread(time.sleep, 100_000)


class Connection:
    """A resource whose end takes for ever."""


@app.resource
async def connection() -> AsyncIterator[Connection]:
    yield Connection()
    if os.environ.get("TEST_HANGS_AT_CLOSE"):
        await asyncio.sleep(100_000)


@app.job("connected", queue="q")
async def connected(*, connection: Connection = oxcart.Provided) -> str:
    """Use a resource."""
    write("start")
    write("end")
    return "done"
