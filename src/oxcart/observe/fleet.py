"""What a monitor is told of the whole system at one moment, whatever it is written in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oxcart import QueueFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetFacts:
    """What was found of the queues and the exports.

    Attributes:
        broker: where jobs wait: ``redis`` or ``sqs``.
        is_broker_up: whether that answered.
        is_database_up: whether the database answered.
        queues: the figures of each queue that could be read, by name.
        workers: how many workers are connected, by queue; empty where that cannot be told.
        paused_workers: how many of them take no jobs for now, by queue.
        exports: how many exports there are, by status; empty where that cannot be told.
    """

    broker: str
    is_broker_up: bool
    is_database_up: bool
    queues: Mapping[str, QueueFigures] = field(default_factory=dict)
    workers: Mapping[str, int] = field(default_factory=dict)
    paused_workers: Mapping[str, int] = field(default_factory=dict)
    exports: Mapping[str, int] = field(default_factory=dict)
