"""The timer for the next delayed job, on both event loops that users run."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable

import pytest
import uvloop

from oxcart._engine.handler import Handlers
from oxcart._engine.lock_keeper import LockKeeper
from oxcart._engine.queue_worker import QueueWorker, WorkerOptions
from oxcart._model.clock import ServerClock
from oxcart._store.connection import Timeouts
from oxcart._store.location import Location
from oxcart._store.store import Store
from oxcart._wire.keys import QueueKeys

NewLoop = Callable[[], asyncio.AbstractEventLoop]


@pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def test_due_time_may_change_before_the_timer_has_fired(valkey_url: str, new_loop: NewLoop) -> None:
    """Uvloop's ``call_at`` returns a handle without ``when()`` for a delay that rounds to 0 ms."""

    async def note_many() -> None:
        location = Location.at(valkey_url)
        store = Store(location)
        worker = QueueWorker(
            store,
            QueueKeys("bull", "default"),
            ServerClock(),
            Handlers({}),
            LockKeeper(location, Timeouts(), lock_ms=30_000),
            WorkerOptions(name="timer"),
            holder=secrets.token_hex(8),
        )
        # How a time is rounded depends on where in its millisecond it is.
        until = time.monotonic() + 0.1
        while time.monotonic() < until:
            worker.fetcher._set_due_timer(0.0)
        await store.aclose()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(note_many())
