"""What the peers' adapters share: how jobs are added, and what a worker's run is measured by.

The standard library alone, because each peer's own environment imports it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from benchmarks.meter import Meter, ThreadMeter
from benchmarks.protocol import (
    Order,
    Stopwatch,
    rss_bytes,
    say_enqueued,
    say_ready,
    say_worked,
    until_done,
    until_done_blocking,
)

Data = dict[str, Any]
"""A job's payload."""

POLL_S = 0.01
BATCH = 1_000
CALLERS = 100
"""How many coroutines add at a time where the library has no bulk call."""
REFUSED = ("priorities", "children", "keep", "metrics")
"""Options that these adapters do not know: a figure taken without them would be a wrong one."""


async def add_jobs(
    order: Order,
    add: Callable[[Data], Awaitable[object]],
    add_many: Callable[[list[Data]], Awaitable[object]] | None = None,
    *,
    batch: int = BATCH,
) -> None:
    """Play the role ``enqueue`` for a library with awaited adds; connect before.

    Args:
        order: what to add: at a pace, from concurrent callers, or else as fast as can be.
        add: adds one job.
        add_many: adds jobs by the library's bulk call; without one, concurrent callers do.
        batch: how many jobs one bulk call adds.
    """
    _refuse(order)
    watch = Stopwatch()
    if "rate" in order.options:
        async for number in order.paced():
            await add(order.due_data(number))
    elif add_many is not None and "callers" not in order.options:
        for datas in _batches(order, batch):
            await add_many(datas)
    else:
        await _add_from_callers(order, add)
    say_enqueued(order, watch)


def add_jobs_blocking(
    order: Order,
    add: Callable[[Data], object],
    add_many: Callable[[list[Data]], object] | None = None,
    *,
    batch: int = BATCH,
) -> None:
    """The blocking twin of ``add_jobs``: callers are threads, and none unless asked for."""
    _refuse(order)
    watch = Stopwatch()
    if "rate" in order.options:
        for number in order.paced_blocking():
            add(order.due_data(number))
    elif "callers" in order.options:
        _add_from_threads(order, add)
    elif add_many is not None:
        for datas in _batches(order, batch):
            add_many(datas)
    else:
        for number in range(order.jobs):
            add(order.data(number))
    say_enqueued(order, watch)


def delay_s(order: Order) -> float:
    """How long a job is to wait before it may run, in seconds; 0 for at once."""
    return float(order.options.get("delay_ms", 0)) / 1000


def connections(order: Order) -> int:
    """How many connections a pool needs: one for each job or caller at a time, and some more.

    Libraries whose pool has no place left fail instead of waiting.
    """
    return max(order.concurrency, CALLERS) + 20


class Shift:
    """A worker's run, measured from now until as many handlers have ended as there are jobs.

    Make it before the worker starts; then ``last`` (or ``last_blocking``) while it works.

    Args:
        order: what is run.
        in_threads: whether handlers run in threads.
    """

    def __init__(self, order: Order, *, in_threads: bool = False) -> None:
        _refuse(order)
        self.meter = ThreadMeter(order.meter) if in_threads else Meter(order.meter)
        self._order = order
        self._rss, self._watch = rss_bytes(), Stopwatch()

    async def last(self) -> None:
        """Tell that the worker consumes, wait for the last handler, tell the figures."""
        say_ready()
        await until_done(self._order, self.meter)
        self._tell()

    def last_blocking(self) -> None:
        """The blocking twin of ``last``."""
        say_ready()
        until_done_blocking(self._order, self.meter)
        self._tell()

    def then(self, stop: Callable[[], object]) -> None:
        """Do ``last_blocking`` in a thread and then ``stop``: for workers on the main thread."""

        def watch() -> None:
            self.last_blocking()
            stop()

        threading.Thread(target=watch, daemon=True).start()

    def handler(self) -> Callable[[Data], Awaitable[None]]:
        """The handler of every workload, given a job's payload."""
        begin, end, late = self.meter.begin, self.meter.end, self.meter.late
        sleep_s = self._order.sleep_s

        async def handle(data: Data) -> None:
            begin()
            if "due" in data:
                late(data["due"])
            if sleep_s:
                await asyncio.sleep(sleep_s)
            end()

        return handle

    def handler_blocking(self) -> Callable[[Data], None]:
        """The blocking twin of ``handler``."""
        begin, end, late = self.meter.begin, self.meter.end, self.meter.late
        sleep_s = self._order.sleep_s

        def handle(data: Data) -> None:
            begin()
            if "due" in data:
                late(data["due"])
            if sleep_s:
                time.sleep(sleep_s)
            end()

        return handle

    def _tell(self) -> None:
        say_worked(self.meter, self._watch, rss_before=self._rss)


async def until(count: Callable[[], int | Awaitable[int]], wanted: int) -> None:
    """Wait until a count is what is wanted: until a worker has acknowledged its last jobs.

    Args:
        count: is asked again and again.
        wanted: what it is to give.
    """
    while True:
        found = count()
        if (found if isinstance(found, int) else await found) == wanted:
            return
        await asyncio.sleep(POLL_S)


def quiet(*names: str) -> None:
    """Let libraries log warnings only: a line for every job is no part of the work.

    Args:
        names: the loggers; none for all that have no level of their own.
    """
    for name in names or ("",):
        logging.getLogger(name).setLevel(logging.WARNING)


def _refuse(order: Order) -> None:
    for name in REFUSED:
        if name in order.options:
            sys.exit(f"this adapter does not take the option {name!r}: leave the system out")


async def _add_from_callers(order: Order, add: Callable[[Data], Awaitable[object]]) -> None:
    numbers = iter(range(order.jobs))

    async def call() -> None:
        for number in numbers:
            await add(order.data(number))

    async with asyncio.TaskGroup() as group:
        for _ in range(order.options.get("callers", CALLERS)):
            group.create_task(call())


def _add_from_threads(order: Order, add: Callable[[Data], object]) -> None:
    numbers = iter(range(order.jobs))  # a range's iterator is safe to share under the GIL

    def call() -> None:
        for number in numbers:
            add(order.data(number))

    threads = [threading.Thread(target=call) for _ in range(order.options["callers"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _batches(order: Order, size: int) -> Iterator[list[Data]]:
    for start in range(0, order.jobs, size):
        yield _datas(order, range(start, min(start + size, order.jobs)))


def _datas(order: Order, numbers: Sequence[int]) -> list[Data]:
    return [order.data(number) for number in numbers]
