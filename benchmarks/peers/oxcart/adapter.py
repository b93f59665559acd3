"""oxcart, used as an application would use it: ``Queue``, ``Worker``, ``JobSpec``; on uvloop.

Everything is on as it is shipped: locks with their heartbeat, events, retries, time-outs of
handlers, the stalled check, retention. Completed jobs are removed at once, as the peers do, unless
the workload asks to keep some.
"""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop
from benchmarks.meter import Meter
from benchmarks.protocol import (
    Order,
    Stopwatch,
    main,
    rss_bytes,
    say_enqueued,
    say_ready,
    say_worked,
    until_done,
)

import oxcart

LACKS: tuple[str, ...] = ()

BATCH = 5_000
"""Jobs a bulk call: ``add_many`` sends the next 1,000 while the server adds the last."""
FLOW_BATCH = 1_000
JOB = "mail"


def enqueue(order: Order) -> None:
    """Add the jobs."""
    uvloop.run(_enqueue(order))


def work(order: Order) -> None:
    """Run the jobs."""
    uvloop.run(_work(order))


async def _enqueue(order: Order) -> None:
    async with oxcart.Queue(order.queue, redis_url=order.url) as queue:
        await queue.ping()  # opens the connection
        watch = Stopwatch()
        if "rate" in order.options:
            async for number in order.paced():
                await queue.add(JOB, order.due_data(number), **_options(order, number))
        elif "callers" in order.options:
            await _add_from_callers(queue, order)
        elif "children" in order.options:
            await _add_flows(order)
        else:
            await _add_many(queue, order)
        say_enqueued(order, watch)


async def _add_many(queue: oxcart.Queue, order: Order) -> None:
    for start in range(0, order.jobs, BATCH):
        numbers = range(start, min(start + BATCH, order.jobs))
        await queue.add_many([_spec(order, number) for number in numbers])


async def _add_from_callers(queue: oxcart.Queue, order: Order) -> None:
    numbers = iter(range(order.jobs))

    async def call() -> None:
        for number in numbers:
            await queue.add(JOB, order.data(number), **_options(order, number))

    async with asyncio.TaskGroup() as group:
        for _ in range(order.options["callers"]):
            group.create_task(call())


async def _add_flows(order: Order) -> None:
    children = order.options["children"]
    flows = order.jobs // (children + 1)
    at_once = max(1, FLOW_BATCH // (children + 1))
    async with oxcart.FlowProducer(redis_url=order.url) as producer:
        for start in range(0, flows, at_once):
            numbers = range(start, min(start + at_once, flows))
            await producer.add_many([_flow(order, number, children) for number in numbers])


def _flow(order: Order, number: int, children: int) -> oxcart.FlowNode:
    nodes = [_node(order, number * children + child) for child in range(children)]
    return _node(order, number, children=nodes)


def _node(order: Order, number: int, **more: Any) -> oxcart.FlowNode:
    return oxcart.FlowNode(queue=order.queue, name=JOB, data=order.data(number), **more)


def _spec(order: Order, number: int) -> oxcart.JobSpec:
    options = _options(order, number)
    more = {"options": oxcart.JobOptions(**options)} if options else {}
    return oxcart.JobSpec(name=JOB, data=order.data(number), **more)


def _options(order: Order, number: int) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if "delay_ms" in order.options:
        options["delay"] = f"{order.options['delay_ms']}ms"
    if "priorities" in order.options:
        options["priority"] = 1 + number % order.options["priorities"]
    return options


async def _work(order: Order) -> None:
    meter = Meter(order.meter)
    worker = oxcart.Worker(
        order.queue,
        _handler(order, meter),
        concurrency=order.concurrency,
        redis_url=order.url,
        keep_completed=_retention(order),
        metrics=order.options.get("metrics"),
    )
    rss, watch = rss_bytes(), Stopwatch()
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        say_ready()
        await until_done(order, meter)
        say_worked(meter, watch, rss_before=rss)
        worker.stop()


def _handler(order: Order, meter: Meter) -> Any:
    sleep_s = order.sleep_s
    begin, end = meter.begin, meter.end

    async def handle(job: oxcart.JobContext) -> None:
        begin()
        data: Any = job.data
        if "due" in data:
            meter.late(data["due"])
        if sleep_s:
            await asyncio.sleep(sleep_s)
        end()

    return handle


def _retention(order: Order) -> oxcart.Retention:
    keep = order.options.get("keep", 0)
    return oxcart.Retention(count=keep) if keep else oxcart.Retention.NONE


if __name__ == "__main__":
    main(enqueue=enqueue, work=work)
