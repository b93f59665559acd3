"""The states of a delivery.

::

    PENDING ──► QUEUED ──► DELIVERED | FAILED | STOPPED
       ▲           │                      │
       └───────────┴──────────────────────┘    its job was lost, or an operator sends it again
"""

from __future__ import annotations

from enum import StrEnum


class DeliveryState(StrEnum):
    """The state of the delivery of one message to one endpoint."""

    PENDING = "pending"
    """Written, not yet in the queue. Set with the message, and when it is sent again."""
    QUEUED = "queued"
    """A job delivers it; stays so while an attempt that failed waits to be repeated."""
    DELIVERED = "delivered"
    """The endpoint answered with a status from 200 to 299."""
    FAILED = "failed"
    """All attempts of the schedule failed."""
    STOPPED = "stopped"
    """The endpoint answered 410 Gone: no further attempt is made."""

    @property
    def is_open(self) -> bool:
        """Whether an attempt is still to come."""
        return self in (DeliveryState.PENDING, DeliveryState.QUEUED)
