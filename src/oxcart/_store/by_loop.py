"""What belongs to an event loop, for as long as there is that loop."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar
from weakref import ref

T = TypeVar("T")


class ByLoop(Generic[T]):
    """A value for each event loop, looked up on the way of every call.

    A ``WeakKeyDictionary`` does the same, and took a fifth of the time of an add.
    """

    def __init__(self) -> None:
        # By the loop's id: a loop that is gone takes its value with it before another has its id.
        self._values: dict[int, tuple[T, ref[asyncio.AbstractEventLoop]]] = {}

    def get(self, loop: asyncio.AbstractEventLoop) -> T | None:
        """The loop's value, if it has one."""
        found = self._values.get(id(loop))
        return None if found is None else found[0]

    def set(self, loop: asyncio.AbstractEventLoop, value: T) -> T:
        """Give the loop a value, and return it."""
        values, key = self._values, id(loop)
        values[key] = (value, ref(loop, lambda _: values.pop(key, None)))
        return value

    def pop(self, loop: asyncio.AbstractEventLoop) -> T | None:
        """Take the loop's value away, and return it if there was one."""
        found = self._values.pop(id(loop), None)
        return None if found is None else found[0]
