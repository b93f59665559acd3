"""Sending single adds, joined with those of concurrent callers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from weakref import WeakKeyDictionary

from oxcart._queue.sending import BATCH
from oxcart._store.calls.adding import Added, EncodedJob
from oxcart._store.group_commit import GroupCommit

Commit = GroupCommit[EncodedJob, Added]


class Adder:
    """Sends single jobs, those of an event loop's concurrent callers together.

    Args:
        send: sends jobs under a nonce and gives a result each.
    """

    def __init__(self, send: Callable[[str, Sequence[EncodedJob]], Awaitable[list[Added]]]) -> None:
        self._send = send
        self._commits: WeakKeyDictionary[asyncio.AbstractEventLoop, Commit] = WeakKeyDictionary()

    async def submit(self, job: EncodedJob) -> Added:
        """Send a job with whatever goes out next."""
        loop = asyncio.get_running_loop()
        commit = self._commits.get(loop)
        if commit is None:
            commit = GroupCommit(self._send, new_key=lambda: uuid.uuid4().hex, limit=BATCH)
            self._commits[loop] = commit
        return await commit.submit(job)
