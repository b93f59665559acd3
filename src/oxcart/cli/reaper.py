"""What a container's first process owes to processes that nobody waits for.

When a process dies, those that it had started become children of process 1. They stay in the
system's table after their end until that one has asked for their exit codes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress

from oxcart._engine.ending import end
from oxcart.cli.children import Children

INTERVAL_S = 5.0


@asynccontextmanager
async def reaping(children: Children) -> AsyncIterator[None]:
    """Reap strangers for as long as ``async with`` lasts; see ``reap_strangers``."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(reap_strangers(children))
        try:
            yield
        finally:
            await end(task)


async def reap_strangers(children: Children) -> None:
    """Ask for the exit codes of others' processes until cancelled; as process 1 only."""
    while os.getpid() == 1:
        await asyncio.sleep(INTERVAL_S)
        if not children.is_starting:
            reap(children.pids)


def reap(own: Collection[int]) -> None:
    """Ask for the exit codes of processes that have ended.

    Args:
        own: those that somebody here waits for; they are left alone. When one of them has ended
            and nobody has asked yet, the rest is left to the next time.
    """
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in own:
            return
        with suppress(ChildProcessError):  # a thread that waits for this one was faster
            os.waitpid(ended.si_pid, 0)
