"""Stands where a queue expects Redis when there is none, and says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from oxcart._store.call import Call
from oxcart._store.location import Location
from oxcart._store.store import Store
from oxcart._store.sync_store import SyncStore
from oxcart.sqs.errors import NotInSqs

T = TypeVar("T")


def refuse(what: str) -> NoReturn:
    """Say that SQS has no such thing.

    Raises:
        NotInSqs: always.
    """
    raise NotInSqs(
        f"{what} needs Redis, and jobs are in SQS here (OXCART_BROKER=sqs), which can only be sent "
        "to and counted"
    )


def nowhere() -> Location:
    """The address of no server."""
    return Location(lambda: refuse("a connection"))


class NoStore(Store):
    """Refuses every call."""

    def __init__(self) -> None:
        super().__init__(nowhere())

    async def run(self, call: Call[T]) -> T:
        """Refuse a call; see ``refuse``."""
        refuse(call.name)

    async def run_all(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """Refuse calls; see ``refuse``."""
        refuse(", ".join(dict.fromkeys(call.name for call in calls)))

    async def run_everywhere(self, call: Call[T]) -> list[T]:
        """Refuse a call; see ``refuse``."""
        refuse(call.name)


class NoSyncStore(SyncStore):
    """The blocking twin of ``NoStore``."""

    def __init__(self) -> None:
        super().__init__(nowhere())

    def run(self, call: Call[T]) -> T:
        """Refuse a call; see ``refuse``."""
        refuse(call.name)

    def run_all(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """Refuse calls; see ``refuse``."""
        refuse(", ".join(dict.fromkeys(call.name for call in calls)))

    def run_everywhere(self, call: Call[T]) -> list[T]:
        """Refuse a call; see ``refuse``."""
        refuse(call.name)
