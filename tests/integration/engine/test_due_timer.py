"""The timer for the next delayed job, on both event loops that users run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
import uvloop
from tests.support import wait_until

from oxcart._engine.due_timer import DueTimer

NewLoop = Callable[[], asyncio.AbstractEventLoop]


@pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def test_due_time_may_change_before_the_timer_has_fired(new_loop: NewLoop) -> None:
    """Uvloop's ``call_at`` returns a handle without ``when()`` for a delay that rounds to 0 ms."""
    fired: list[float] = []

    async def note_many() -> None:
        timer = DueTimer(lambda: fired.append(time.monotonic()))
        # How a time is rounded depends on where in its millisecond it is.
        until = time.monotonic() + 0.1
        while time.monotonic() < until:
            timer.set(0.0)
        await wait_until(lambda: fired, what="the timer to fire")

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(note_many())

    assert fired
