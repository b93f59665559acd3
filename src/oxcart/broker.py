"""What an application needs of the place where its jobs wait, if that is not Redis."""

from __future__ import annotations

from typing import Protocol

from oxcart import sync
from oxcart.queue import Queue


class Broker(Protocol):
    """Gives the queues of an application; ``oxcart.sqs.SqsBroker`` is one."""

    def queue(self, name: str) -> Queue:
        """The queue of a name: the same object each time."""
        ...

    def sync_queue(self, name: str) -> sync.Queue:
        """The queue of a name for blocking code: the same object each time."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...
