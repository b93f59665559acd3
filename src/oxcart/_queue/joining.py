"""Sending single adds, joined with those of concurrent callers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from oxcart._queue.sending import BATCH
from oxcart._store.calls.adding import Added, EncodedJob
from oxcart._store.group_commit import LoopCommits


class Adder(LoopCommits[EncodedJob, Added]):
    """Sends single jobs, those of an event loop's concurrent callers together.

    Args:
        send: sends jobs under a nonce and gives a result each.
    """

    def __init__(self, send: Callable[[str, Sequence[EncodedJob]], Awaitable[list[Added]]]) -> None:
        super().__init__(send, limit=BATCH)
