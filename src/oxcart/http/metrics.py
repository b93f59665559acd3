"""The figures for monitors: of the whole fleet, from where the jobs wait and from the database.

All of it stands in Redis and the database, so that any process can tell it, and workers need no
server of their own. How long it takes does not depend on how many jobs wait: a handful of commands
a queue. It takes at most ``READ_SECONDS``, whatever is down; what cannot be told then is left out,
and the answer says so itself (``oxcart_redis_up 0``), for an error would tell a monitor nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

from oxcart.errors import StoreError, StoreUnavailable
from oxcart.http.fresh import Fresh
from oxcart.observe.fleet import FleetFacts
from oxcart.operations import QUEUES

if TYPE_CHECKING:
    from oxcart import Queue, QueueFigures
    from oxcart.observe.prometheus import Exposition
    from oxcart.system import System

log = logging.getLogger("oxcart.http")
T = TypeVar("T")

READ_SECONDS = 2.0
FRESH_SECONDS = 1.0
EXPORTS_FRESH_SECONDS = 30.0
"""Counting rows takes longer the more of them there are."""


class MetricsProbe:
    """Finds the figures and writes them down.

    Args:
        system: whose.

    Raises:
        ConfigError: a queue that the settings name is not in SQS, where the jobs are.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        own = (*QUEUES, *system.settings.queue_places)
        names = dict.fromkeys((*own, *system.settings.metrics_queues))
        self._queues = {name: system.app.queue(name) for name in names}
        self._facts = Fresh(self._find, fresh_seconds=FRESH_SECONDS)
        self._exports = Fresh(self._count_exports, fresh_seconds=EXPORTS_FRESH_SECONDS)
        self._exposition: Exposition | None = None

    async def write(self, accept: str) -> tuple[bytes, str]:
        """The figures in the form that ``Accept`` asks for, and its media type."""
        facts = await self._facts.get()
        if self._exposition is None:
            from oxcart.observe.prometheus import Exposition  # few processes are ever asked

            self._exposition = Exposition()
        return self._exposition.write(facts, accept)

    async def _find(self) -> FleetFacts:
        async with asyncio.TaskGroup() as tasks:
            queues = tasks.create_task(_bounded("queues", self._read_queues()))
            workers = tasks.create_task(_bounded("workers", self._count_workers()))
            paused = tasks.create_task(_bounded("paused workers", self._count_paused()))
            database = tasks.create_task(_bounded("database", self._system.database.ping()))
            exports = tasks.create_task(_bounded("exports", self._exports.get()))
        is_database_up = database.result() is not None
        return FleetFacts(
            broker=self._system.settings.broker,
            is_broker_up=queues.result() is not None,
            is_database_up=is_database_up,
            queues=queues.result() or {},
            workers=workers.result() or {},
            paused_workers=paused.result() or {},
            exports=(exports.result() or {}) if is_database_up else {},
        )

    async def _read_queues(self) -> dict[str, QueueFigures]:
        """The figures of the queues; one that holds something else does not hide the others.

        Raises:
            StoreUnavailable: none can be read.
        """
        found = {}
        for name, queue in self._queues.items():
            try:
                found[name] = await queue.get_figures()
            except StoreUnavailable:
                raise
            except StoreError as error:
                _warn(f"queue {name}", error)
        return found

    async def _count_workers(self) -> dict[str, int]:
        if self._system.settings.broker != "redis":
            return {}
        return {name: await _worker_count(queue) for name, queue in self._queues.items()}

    async def _count_paused(self) -> dict[str, int]:
        if self._system.settings.broker != "redis":
            return {}
        return {name: await _paused_count(queue) for name, queue in self._queues.items()}

    async def _count_exports(self) -> dict[str, int]:
        counts = await self._system.exports.count_by_status()
        return {status.value: count for status, count in counts.items()}


async def _worker_count(queue: Queue) -> int:
    return len(await queue.get_workers())


async def _paused_count(queue: Queue) -> int:
    registered = await queue.get_registered_workers()
    return sum(worker.is_alive and worker.record.paused_since_ms > 0 for worker in registered)


async def _bounded(what: str, reading: Awaitable[T]) -> T | None:
    """What is read, or nothing if that fails or takes too long."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await reading
    except Exception as error:  # noqa: BLE001  # what fails is a finding, and no reason to tell nothing
        _warn(what, error)
        return None


def _warn(what: str, error: Exception) -> None:
    log.warning("http.metrics_incomplete", extra={"what": what, "cause": type(error).__name__})
