"""Registering workers of a queue."""

from __future__ import annotations

from tests.integration.lua.keyspace import Keyspace

from oxcart._model.registry import RegisteredWorker, WorkerRecord
from oxcart._store.calls.registry import beat, read_workers

OTHER = "fedcba9876543210"


async def beat_of(space: Keyspace, one: WorkerRecord) -> list[RegisteredWorker]:
    missing: list[RegisteredWorker] = await space.run(
        beat(space.keys, one, clock=space.clock, missed_ms=2_400)
    )
    return missing


async def registered(space: Keyspace) -> list[RegisteredWorker]:
    workers: list[RegisteredWorker] = await space.run(read_workers(space.keys, clock=space.clock))
    return workers
