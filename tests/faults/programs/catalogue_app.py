"""The application of the catalogue of faults; its settings are environment variables."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from tests.faults.catalogue.ledger import BEGUN, ENDED, SCHEDULED, LedgerWriter

import oxcart
from oxcart.app import AppWorker

OPTIONS: dict[str, Any] = {
    "lock": os.environ.get("TEST_LOCK", "30s"),
    "stalled_interval": os.environ.get("TEST_STALLED_INTERVAL", "30s"),
}
if "TEST_KEEP" in os.environ:
    OPTIONS["keep_completed"] = oxcart.Retention(count=int(os.environ["TEST_KEEP"]))


class TrialApp(oxcart.App):
    """An application whose lock and stalled check are settings of the trial."""

    def worker(self, *args: Any, **options: Any) -> AppWorker:
        return super().worker(*args, **{**OPTIONS, **options})


app = TrialApp(prefix=os.environ["TEST_PREFIX"])
book = LedgerWriter(os.environ["TEST_LEDGER"])
QUEUES = ("q", "low", "flow")

gate = os.environ.get("TEST_IMPORT_GATE")
if gate and not Path(gate).exists():
    raise RuntimeError("the import fails while the gate is missing")


def place() -> str:
    """The queue and the id of the running job."""
    job = oxcart.current_job()
    return f"{job.queue}:{job.job_id}"


def begin(ref: str) -> None:
    """Note that a run has begun."""
    book.write(BEGUN, ref, place())


def end(ref: str) -> None:
    """Note that a run reached its end."""
    book.write(ENDED, ref, place())


def segfault() -> None:
    """Read from address 0."""
    ctypes.string_at(0)


def eat_memory() -> None:
    """Take memory until the kernel kills the process that exceeds its control group's limit."""
    hoard = []
    while True:
        hoard.append(bytearray(16 << 20))


DEATHS = {
    "exit": lambda: os._exit(1),
    "exit_0": lambda: os._exit(0),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": segfault,
    "memory": eat_memory,
}


def close_all() -> None:
    """Close every file descriptor from 3 on."""
    os.closerange(3, 4096)


async def work(ref: str, ms: float = 0, fill: str = "", result: int = 0) -> str:
    begin(ref)
    if ms:
        await asyncio.sleep(ms / 1_000)
    end(ref)
    return "r" * result or "done"


async def fenced(ref: str, ms: float) -> str:
    begin(ref)
    await asyncio.sleep(ms / 1_000)
    oxcart.current_job().ensure_lock()
    end(ref)
    return "done"


async def retry(ref: str, failures: int, ms: float = 0) -> str:
    begin(ref)
    if ms:
        await asyncio.sleep(ms / 1_000)
    if oxcart.current_job().attempt <= failures:
        raise ValueError("meant to fail")
    end(ref)
    return "done"


async def doomed(ref: str) -> None:
    begin(ref)
    raise oxcart.Fail("meant to fail")


async def poison(ref: str, how: str = "exit", ms: float = 300) -> None:
    begin(ref)
    await asyncio.sleep(ms / 1_000)
    DEATHS[how]()


async def block(ref: str, seconds: float) -> str:
    begin(ref)
    time.sleep(seconds)  # noqa: ASYNC251  # the fault of the scenario
    end(ref)
    return "done"


async def hold_gil(ref: str, seconds: int) -> str:
    begin(ref)
    left = seconds
    while left > 0:  # a signal wakes it
        left = ctypes.PyDLL(None).sleep(left)
    end(ref)
    return "done"


def hang_thread(ref: str) -> None:
    begin(ref)
    threading.Event().wait()


async def ignore_cancel(ref: str, seconds: float) -> str:
    begin(ref)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            await asyncio.sleep(until - time.monotonic())
        except asyncio.CancelledError:
            continue
    end(ref)
    return "done"


def leave_threads(ref: str, threads: int, seconds: float) -> str:
    begin(ref)
    for _ in range(threads):
        threading.Thread(target=time.sleep, args=(seconds,), daemon=False).start()
    end(ref)
    return "done"


async def log_much(ref: str, kilobytes: int) -> str:
    begin(ref)
    for _ in range(kilobytes):
        logging.getLogger("catalogue").warning("%s", "l" * 1_000)
        await asyncio.sleep(0)
    end(ref)
    return "done"


async def nasty(ref: str, how: str) -> object:
    begin(ref)
    return await NASTY[how]()


async def tick(ms: float = 0, how: str = "") -> str:
    ref = SCHEDULED + oxcart.current_job().job_id
    begin(ref)
    if ms:
        await asyncio.sleep(ms / 1_000)
    if how:
        DEATHS[how]()
    end(ref)
    return "done"


async def raise_exit() -> None:
    """Raise SystemExit."""
    raise SystemExit(3)


async def raise_interrupt() -> None:
    """Raise KeyboardInterrupt."""
    raise KeyboardInterrupt


async def raise_generator_exit() -> None:
    """Raise GeneratorExit."""
    raise GeneratorExit


async def recurse() -> None:
    """Call itself until the interpreter refuses."""
    await recurse()


async def return_no_json() -> object:
    """Return what JSON cannot hold."""
    return object()


async def leave_tasks() -> str:
    """Leave 200 tasks behind."""
    loop = asyncio.get_running_loop()
    LEFT.extend(loop.create_task(asyncio.sleep(3_600)) for _ in range(200))
    return "done"


async def stop_loop() -> str:
    """Stop the event loop under the worker."""
    asyncio.get_running_loop().stop()
    await asyncio.sleep(3_600)
    return "done"


async def cancel_all() -> str:
    """Cancel every task of the event loop, the worker's own included."""
    for task in asyncio.all_tasks():
        task.cancel()
    await asyncio.sleep(3_600)
    return "done"


async def close_descriptors() -> str:
    """Close the connections of the worker."""
    close_all()
    await asyncio.sleep(3_600)
    return "done"


async def use_descriptors() -> str:
    """Open files until the process may open no more, and leave them open until the end."""
    files = []
    try:
        while True:
            files.append(os.open("/dev/null", os.O_RDONLY))
    finally:
        for file in files:
            os.close(file)


async def patch_time() -> str:
    """Make the clock of the process tell another time for a moment."""
    real = time.time
    time.time = lambda: 0.0
    await asyncio.sleep(0.5)
    time.time = real
    return "done"


async def fork() -> str:
    """Leave a child process behind that ends by itself."""
    pid = os.fork()
    if not pid:
        os._exit(0)
    await asyncio.to_thread(os.waitpid, pid, 0)
    return "done"


async def kill_parent() -> str:
    """Kill the supervisor."""
    os.kill(os.getppid(), signal.SIGKILL)
    return "done"


LEFT: list[asyncio.Task[None]] = []
NASTY: dict[str, Any] = {
    "raise_exit": raise_exit,
    "raise_interrupt": raise_interrupt,
    "raise_generator_exit": raise_generator_exit,
    "recurse": recurse,
    "return_no_json": return_no_json,
    "leave_tasks": leave_tasks,
    "stop_loop": stop_loop,
    "cancel_all": cancel_all,
    "close_descriptors": close_descriptors,
    "kill_parent": kill_parent,
    "use_descriptors": use_descriptors,
    "patch_time": patch_time,
    "fork": fork,
}

OPTIONS_OF: dict[Any, dict[str, Any]] = {
    work: {},
    fenced: {},
    retry: {"attempts": 4, "backoff": oxcart.fixed("200ms")},
    doomed: {},
    poison: {},
    block: {"timeout": os.environ.get("TEST_TIMEOUT", "1h")},
    hold_gil: {},
    hang_thread: {"timeout": "1s"},
    ignore_cancel: {},
    leave_threads: {},
    log_much: {},
    nasty: {},
    tick: {},
}
"""The handlers and how they are declared in each queue."""


async def only_old(ref: str) -> str:
    """Run in the old generation of the application alone."""
    begin(ref)
    end(ref)
    return "done"


async def only_new(ref: str) -> str:
    """Run in the new generation of the application alone."""
    begin(ref)
    end(ref)
    return "done"


generation = os.environ.get("TEST_GENERATION")
if generation:
    OPTIONS_OF[only_old if generation == "old" else only_new] = {}

for name in QUEUES:
    for function, options in OPTIONS_OF.items():
        app.job(function.__name__, queue=name, **{"attempts": 1, **options})(function)
