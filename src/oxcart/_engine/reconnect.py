"""How long to wait before trying an unreachable server again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import random as _random

FIRST_S = 0.1
LONGEST_S = 5.0


class Reconnect:
    """Doubling waits with jitter, never giving up.

    The goal: a server that comes back is used within about two seconds, and one that is away for
    an hour sees a few calls a second from a fleet, not a storm at the same instant.

    Args:
        random: gives a number in [0, 1).
    """

    def __init__(self, random: Callable[[], float] = _random) -> None:
        self._random = random
        self._tries = 0

    def next_s(self) -> float:
        """The next wait, in seconds: between half and the whole of the doubling step."""
        step: float = min(LONGEST_S, FIRST_S * 2 ** min(self._tries, 10))
        self._tries += 1
        return step * (0.5 + self._random() / 2)

    async def wait(self) -> None:
        """Wait before the next try."""
        await asyncio.sleep(self.next_s())

    def reset(self) -> None:
        """Start from the shortest wait again: the server answered."""
        self._tries = 0

    @property
    def is_first(self) -> bool:
        """Whether nothing has failed since the last answer, for logging once."""
        return self._tries == 0
