"""Celery on Redis: the pool of threads, as many as jobs at a time, in one process.

Jobs are added one after another, or from threads where the workload has callers (its calls block,
and it has no bulk call). Results and events are off, gossip, mingling and heartbeats between
workers too; each thread fetches four jobs ahead, as shipped; hiredis. Jobs are acknowledged before
they run, as shipped: a worker that dies loses them.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from benchmarks.peers.common import Data, Shift, add_jobs_blocking, delay_s
from benchmarks.protocol import Order, main
from celery import Celery, signals

LACKS = (
    "locks",
    "events",
    "results",
    "recovery",
    "bulk adds",
    "async",
    "retention",
)

JOB = "handle"


def enqueue(order: Order) -> None:
    """Add the jobs."""

    def process(data: Data) -> None:
        """Run elsewhere."""

    app, job = _prepare(order, process)
    wait = delay_s(order) or None

    def add(data: Data) -> None:
        job.apply_async((data,), countdown=wait)

    with app.connection_for_write() as connection:
        connection.ensure_connection()
    add_jobs_blocking(order, add)
    app.close()


def work(order: Order) -> None:
    """Run the jobs."""
    shift = Shift(order, in_threads=True)
    app, _ = _prepare(order, shift.handler_blocking())

    def ready(**_: Any) -> None:
        shift.then(lambda: os.kill(os.getpid(), signal.SIGTERM))

    signals.worker_ready.connect(ready, weak=False)
    pool = "threads" if order.concurrency > 1 else "solo"
    app.worker_main([
        "--quiet", "worker", f"--pool={pool}", f"--concurrency={order.concurrency}",
        f"--queues={order.queue}", "--loglevel=WARNING", "--without-gossip", "--without-mingle",
        "--without-heartbeat",
    ])  # fmt: skip


def _prepare(order: Order, process: Any) -> tuple[Celery, Any]:
    app = Celery("bench", broker=order.url, set_as_current=False)
    app.conf.update(
        task_default_queue=order.queue,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        worker_send_task_events=False,
        worker_redirect_stdouts=False,
        worker_enable_remote_control=False,
        broker_pool_limit=order.options.get("callers", 10),
        broker_connection_retry_on_startup=True,
    )
    return app, app.task(name=JOB)(process)


if __name__ == "__main__":
    main(enqueue=enqueue, work=work)
