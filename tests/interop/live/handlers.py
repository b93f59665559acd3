"""What oxcart's workers do with a job, by its name. ``node/processors.mjs`` does the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from oxcart import Delay, Fail, GiveBack, JobContext
from oxcart.errors import RateLimited, WaitForChildren


async def handle(job: JobContext) -> object:
    """Run a job."""
    data: Any = job.data
    return await HANDLERS[job.name](job, data)


async def echo(_: JobContext, data: Any) -> object:
    """Give the data back."""
    return data


async def who(job: JobContext, data: Any) -> object:
    """Say which worker ran it, after a while."""
    await asyncio.sleep(data.get("ms", 0) / 1_000)
    return job.record.processed_by


async def flaky(job: JobContext, data: Any) -> object:
    """Fail as often as told to, then say which attempt it is."""
    if job.attempt <= data["failures"]:
        raise RuntimeError(f"failure {job.attempt}")
    return job.attempt


async def hopeless(_: JobContext, data: Any) -> object:
    """Fail for good."""
    raise Fail(data["reason"])


async def report(job: JobContext, data: Any) -> object:
    """Report progress and write a log."""
    for row in data["rows"]:
        await job.log(row)
    for progress in data["progress"]:
        await job.progress(progress)
    return "reported"


async def hold(*_: Any) -> object:
    """Go on until the worker is stopped or killed."""
    await asyncio.Event().wait()
    return "released"


async def postpone(job: JobContext, data: Any) -> object:
    """Ask to be run later, once."""
    if job.record.attempts_started > 1:
        return job.record.attempts_made
    raise Delay(f"{data['ms']}ms")


async def give_back(job: JobContext, _: Any) -> object:
    """Give itself back, once."""
    if job.record.attempts_started > 1:
        return job.record.attempts_made
    raise GiveBack


async def limited(job: JobContext, data: Any) -> object:
    """Meet a rate limit, once."""
    if job.record.attempts_started > 1:
        return job.record.attempts_made
    raise RateLimited(f"{data['ms']}ms")


async def gather(job: JobContext, _: Any) -> object:
    """Give the values of the children, lowest first."""
    return sorted((await job.children_values()).values(), key=str)


async def spawn(job: JobContext, data: Any) -> object:
    """Add children, wait for them, and give their values."""
    if not data.get("spawned"):
        for number in data["numbers"]:
            await job.add_child(data["queue"], "echo", number)
        await job.update_data({**data, "spawned": True})
        raise WaitForChildren
    return await gather(job, data)


async def mourn(job: JobContext, _: Any) -> object:
    """Give what the children failed with, where that does not fail it."""
    return sorted((await job.ignored_children_failures()).values())


HANDLERS: dict[str, Callable[[JobContext, Any], Awaitable[object]]] = {
    "echo": echo,
    "who": who,
    "flaky": flaky,
    "hopeless": hopeless,
    "report": report,
    "hold": hold,
    "postpone": postpone,
    "giveBack": give_back,
    "limited": limited,
    "gather": gather,
    "spawn": spawn,
    "mourn": mourn,
}
