"""How long to wait before trying an unreachable server again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from random import random as _random

log = logging.getLogger("oxcart.worker")

FIRST_S = 0.1
LONGEST_S = 5.0


class Reconnect:
    """Doubling waits with jitter, never giving up.

    The goal: a server that comes back is used within about two seconds, and one that is away for
    an hour sees a few calls a second from a fleet, not a storm at the same instant.

    Args:
        random: gives a number in [0, 1).
        monotonic: the clock that measures how long the server was away, in seconds.
    """

    def __init__(
        self,
        random: Callable[[], float] = _random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._random = random
        self._monotonic = monotonic
        self._tries = 0
        self._failed_at = 0.0

    def next_s(self) -> float:
        """The next wait, in seconds: between half and the whole of the doubling step."""
        if self._tries == 0:
            self._failed_at = self._monotonic()
        step: float = min(LONGEST_S, FIRST_S * 2 ** min(self._tries, 10))
        self._tries += 1
        return step * (0.5 + self._random() / 2)

    async def wait(self) -> None:
        """Wait before the next try."""
        await asyncio.sleep(self.next_s())

    def reset(self) -> int | None:
        """Start from the shortest wait again: the server answered.

        Returns:
            How long ago the first try failed, in ms; ``None`` if none has failed.
        """
        if self._tries == 0:
            return None
        self._tries = 0
        return round((self._monotonic() - self._failed_at) * 1_000)

    @property
    def is_first(self) -> bool:
        """Whether nothing has failed since the last answer, for logging once."""
        return self._tries == 0


def log_reconnected(queue: str, after_ms: int | None) -> None:
    """Log that a worker's connection works again, if it was lost.

    Args:
        queue: the worker's queue.
        after_ms: what ``Reconnect.reset`` returned.
    """
    if after_ms is not None:
        log.info("worker.reconnected queue=%s after_ms=%d", queue, after_ms)
