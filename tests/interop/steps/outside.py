"""Steps that are not the queue's: raw commands, the passing of time, a worker that is running."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.interop.registry import operation
from tests.interop.session import PREFIX, Session
from tests.interop.vectors import Step
from tests.support import wait_until

from oxcart import JobContext, Worker


@operation("redis", fields="cmd", opens=False)
async def raw_command(session: Session, step: Step) -> Any:
    reply = session.client.execute_command(*step["cmd"])
    # The client turns the server's OK into True.
    return "OK" if reply is True else reply


@operation("tick", fields="ms", opens=False)
async def tick(session: Session, step: Step) -> None:
    """The clock goes on: the next step says what time it is."""
    del session, step


@operation("startWorker", fields="processor", worker="name concurrency", opens=False)
async def start_worker(session: Session, step: Step) -> str:
    """A real worker whose handler never ends, once it holds as many jobs as it can."""
    assert step.get("processor") == "never ends"
    options = step.get("worker") or {}
    concurrency = options.get("concurrency", 1)
    worker = Worker(
        step["queue"],
        never_ends,
        redis_url=session.url,
        prefix=PREFIX,
        name=options.get("name"),
        concurrency=concurrency,
        clock=session.clock,
    )
    keys = session.keys(step)
    client: Any = session.client
    ready = client.llen(keys.wait) + client.zcard(keys.prioritized)
    session.start(worker)
    await wait_until(
        lambda: (
            client.llen(keys.active) == min(ready, concurrency)
            and client.exists(keys.stalled_check)
        ),
        what="the worker to hold as many jobs as it can",
    )
    return "running"


async def never_ends(_: JobContext) -> None:
    await asyncio.Event().wait()
