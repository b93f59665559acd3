"""What follows from a value, worked out once for all that share the object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ByIdentity(Generic[K, V]):
    """Remembers what was made of objects that never change, by which object it is.

    Comparing two of a job's options takes as long as working out what follows from them; most jobs
    of a queue share one object.

    Args:
        make: works out what follows from an object.
        limit: how many are remembered; with one more it starts anew.
    """

    def __init__(self, make: Callable[[K], V], *, limit: int) -> None:
        self._make = make
        self._limit = limit
        # The object is kept too: while it is, no other has its id.
        self._known: dict[int, tuple[K, V]] = {}

    def get(self, owner: K) -> V:
        """What follows from an object."""
        known = self._known.get(id(owner))
        if known is not None:
            return known[1]
        value = self._make(owner)
        if len(self._known) >= self._limit:
            self._known.clear()
        self._known[id(owner)] = (owner, value)
        return value
