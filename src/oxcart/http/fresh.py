"""A finding that is good for a moment, so that many who ask cost as much as one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Fresh(Generic[T]):
    """Gives a finding, and finds it anew when it is too old.

    Args:
        find: makes a finding.
        fresh_seconds: how long it is good for.
        monotonic: the clock that tells how old it is.
    """

    def __init__(
        self,
        find: Callable[[], Awaitable[T]],
        *,
        fresh_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find = find
        self._fresh_seconds = fresh_seconds
        self._monotonic = monotonic
        self._finding = asyncio.Lock()
        self._found: tuple[T, float] | None = None
        """The finding, and until when it is good."""

    async def get(self) -> T:
        """A finding that is fresh."""
        async with self._finding:  # those who wait get what the one finds who is at it
            if self._found is None or self._monotonic() >= self._found[1]:
                found = await self._find()
                self._found = found, self._monotonic() + self._fresh_seconds
            return self._found[0]
