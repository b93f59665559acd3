"""A worker process whose handler keeps a ledger: a line when a run begins, a line when it ends.

Its only argument is a JSON object; ``TEST_LOOP`` names its loop. See ``tests.faults.processes``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import threading
from typing import Any

import uvloop

import oxcart
from oxcart.app import AppWorker


class Ledger:
    """Appends whole lines, which outlive the process that wrote them."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, what: str, **details: str) -> None:
        """Note something."""
        line = {"what": what, "pid": os.getpid(), **details}
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def write_about_job(self, what: str) -> None:
        """Note something about the running job."""
        job = oxcart.current_job()
        self.write(what, job=job.job_id, queue=job.queue)


def declare(app: oxcart.App, queue: str, ledger: Ledger) -> None:
    """Declare the jobs of a queue: one takes as long as its payload says, one ends its process."""

    @app.job("work", queue=queue)
    async def work(ms: int = 1, ballast: str = "") -> str:  # it is large
        ledger.write_about_job("start")
        await asyncio.sleep(ms / 1_000)
        ledger.write_about_job("end")
        return "done"

    @app.job("exit", queue=queue)
    async def end_process(code: int) -> None:
        ledger.write_about_job("start")
        await asyncio.sleep(0.2)
        os._exit(code)


def declare_stuck(app: oxcart.App, queue: str, ledger: Ledger) -> None:
    """Declare a job that hangs in a call that nothing can interrupt."""

    @app.job("stuck", queue=queue)
    def stuck() -> None:
        ledger.write_about_job("start")
        threading.Event().wait()


def declare_deadly(app: oxcart.App, queue: str, ledger: Ledger) -> None:
    """Declare a job that ends its process as the kernel does when memory runs out."""

    @app.job("die", queue=queue)
    async def die() -> None:
        ledger.write_about_job("start")
        os.kill(os.getpid(), signal.SIGKILL)


class Stopper:
    """Stops a worker gracefully at the first signal, at once at the second."""

    def __init__(self, worker: AppWorker, ledger: Ledger) -> None:
        self._worker = worker
        self._ledger = ledger
        self._is_second = False

    def __call__(self) -> None:
        self._worker.stop(force=self._is_second)
        self._is_second = True
        self._ledger.write("signal")


async def main(url: str, prefix: str, queues: dict[str, int], ledger: str, options: Any) -> None:
    """Run the worker until SIGTERM."""
    book = Ledger(ledger)
    async with oxcart.App(url, prefix=prefix) as app:
        for queue in queues:
            declare(app, queue, book)
            declare_stuck(app, queue, book)
            declare_deadly(app, queue, book)
        worker = app.worker(queues, **options)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, Stopper(worker, book))
        await worker.run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(name)s %(message)s")
    new_loop = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    with asyncio.Runner(loop_factory=new_loop[os.environ["TEST_LOOP"]]) as runner:
        runner.run(main(**json.loads(sys.argv[1])))
