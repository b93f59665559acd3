"""What an adapter and the runner tell each other; the standard library alone.

The runner starts ``<interpreter> adapter.py <role>`` with one JSON object on stdin, an ``Order``.
The adapter answers with JSON objects, one a line, on stdout. An adapter ends with::

    if __name__ == "__main__":
        main(enqueue=enqueue, work=work)
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from benchmarks.meter import Meter

POLL_S = 0.01
LINE = {"sku": "item-0001", "quantity": 3, "price": 19.99, "tags": ["red", "large"]}
LINE_BYTES = len(json.dumps(LINE, separators=(",", ":"))) + 1


@dataclass
class Order:
    """What an adapter is to do.

    Attributes:
        url: the server.
        queue: the queue's name, new for every run.
        jobs: how many jobs.
        concurrency: how many run at a time in a worker process.
        handler: ``noop`` or ``sleep``.
        sleep_ms: how long the sleeping handler sleeps.
        payload_bytes: the payload's size as JSON, about; 0 is the small one.
        meter: the file of the ``Meter``.
        options: what only some workloads ask for: ``callers`` (awaited adds from that many
            coroutines), ``rate`` (adds a second; each notes when it was due), ``delay_ms``,
            ``priorities`` (how many), ``keep`` (completed jobs that stay), ``metrics``,
            ``processes``, ``children`` (of each flow), ``warm`` (adds before the time counts).
    """

    url: str
    queue: str = "bench"
    jobs: int = 1
    concurrency: int = 1
    handler: str = "noop"
    sleep_ms: float = 0
    payload_bytes: int = 0
    meter: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def sleep_s(self) -> float:
        """How long a handler sleeps; 0 when it does nothing."""
        return self.sleep_ms / 1000 if self.handler == "sleep" else 0.0

    def data(self, number: int) -> dict[str, Any]:
        """The payload of a job."""
        data: dict[str, Any] = {"to": f"user{number}@example.com", "template": "welcome"}
        if self.payload_bytes:
            data["lines"] = [LINE] * max(1, self.payload_bytes // LINE_BYTES)
        return data

    def due_data(self, number: int) -> dict[str, Any]:
        """The payload of a job that is added now, with the time from which it may run."""
        due = time.time() + self.options.get("delay_ms", 0) / 1000
        return {**self.data(number), "due": due}

    async def paced(self) -> AsyncIterator[int]:
        """The numbers of the jobs, at ``options.rate`` a second."""
        start = time.perf_counter()
        for number in range(self.jobs):
            wait = start + number / self.options["rate"] - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            yield number

    def paced_blocking(self) -> Iterator[int]:
        """The blocking twin of ``paced``."""
        start = time.perf_counter()
        for number in range(self.jobs):
            time.sleep(max(0.0, start + number / self.options["rate"] - time.perf_counter()))
            yield number

    @classmethod
    def read(cls) -> Order:
        """The order that stands in the second argument or on stdin."""
        text = sys.argv[2] if len(sys.argv) > 2 else sys.stdin.read()  # noqa: PLR2004
        given = json.loads(text)
        known = {item.name for item in fields(cls)}
        return cls(**{name: value for name, value in given.items() if name in known})


class Stopwatch:
    """Wall and CPU time of this process and its ended children, from its creation."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), cpu_seconds()

    @property
    def wall(self) -> float:
        """Seconds that have gone by."""
        return time.perf_counter() - self._wall

    @property
    def cpu(self) -> float:
        """Seconds of CPU used."""
        return cpu_seconds() - self._cpu


def say(**fields: Any) -> None:
    """Answer with one line."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def say_enqueued(order: Order, watch: Stopwatch, **more: Any) -> None:
    """Answer the role ``enqueue``; call it at once when the last job is in."""
    wall, cpu = watch.wall, watch.cpu
    say(jobs=order.jobs, seconds=wall, cpu_seconds=cpu, **more)


def say_ready() -> None:
    """Say that the worker consumes."""
    say(ready=True)


def say_worked(meter: Meter, watch: Stopwatch, *, rss_before: int, **more: Any) -> None:
    """Answer the role ``work``; call it when the handlers have run, before the worker stops."""
    say(
        jobs=meter.total(),
        first=meter.first(),
        last=meter.last(),
        cpu_seconds=watch.cpu,
        rss_before=rss_before,
        rss_after=rss_bytes(),
        **more,
    )


async def until_done(order: Order, meter: Meter) -> None:
    """Wait until as many handlers have ended as there are jobs."""
    while meter.total() < order.jobs:  # noqa: ASYNC110  # other processes count too
        await asyncio.sleep(POLL_S)


def until_done_blocking(order: Order, meter: Meter) -> None:
    """The blocking twin of ``until_done``."""
    while meter.total() < order.jobs:
        time.sleep(POLL_S)


def when_done(order: Order, meter: Meter, action: Callable[[], object]) -> threading.Thread:
    """Call back, in a thread, when the handlers have run: for workers that hold the main thread."""

    def watch() -> None:
        until_done_blocking(order, meter)
        action()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def cpu_seconds() -> float:
    """CPU time of this process and of those of its children that have ended."""
    own, ended = (
        resource.getrusage(resource.RUSAGE_SELF),
        resource.getrusage(resource.RUSAGE_CHILDREN),
    )
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime


def rss_bytes(process: int | str = "self") -> int:
    """A process's memory that is resident now; without a number this one's."""
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main(*, enqueue: Callable[[Order], object], work: Callable[[Order], object]) -> None:
    """Play the role that the command line names."""
    roles = {"enqueue": enqueue, "work": work}
    role = sys.argv[1] if len(sys.argv) > 1 else ""
    if role not in roles:
        sys.exit(f"usage: adapter.py {{{'|'.join(roles)}}} < order.json")
    roles[role](Order.read())
