from __future__ import annotations

import asyncio
import time

import pytest

from oxcart._engine.deadlines import Deadlines
from oxcart._engine.hold import Hold
from oxcart._engine.running_job import CancelReason, RunningJob
from oxcart._store.calls.stepping import TakenJob


class Bench:
    """Runs that wait for ever, and when each was cancelled."""

    def __init__(self) -> None:
        self.deadlines = Deadlines()
        self.ended: list[str] = []

    def run(self, job_id: str, timeout_ms: int, group: asyncio.TaskGroup) -> RunningJob:
        hold = Hold("q", job_id, "token", time.monotonic() + 60, lambda _: None)
        job = RunningJob(TakenJob(job_id, "token", {}), hold)

        async def wait() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.ended.append(job_id)

        job.task = group.create_task(wait())
        job.has_begun = True
        self.deadlines.start(job, timeout_ms)
        return job


async def test_runs_are_cancelled_when_their_time_is_over_whatever_their_order() -> None:
    bench = Bench()
    async with asyncio.TaskGroup() as group:
        jobs = [bench.run("slow", 60, group), bench.run("a", 20, group), bench.run("b", 20, group)]

    assert bench.ended == ["a", "b", "slow"]
    assert {job.cancelled_for for job in jobs} == {CancelReason.TIMED_OUT}


async def test_run_that_is_over_in_time_is_left_alone_and_the_next_is_watched() -> None:
    bench = Bench()
    async with asyncio.TaskGroup() as group:
        first, second = bench.run("first", 30, group), bench.run("second", 30, group)
        bench.deadlines.stop(first, 30)
        assert second.task is not None
        await asyncio.wait([second.task])
        assert bench.ended == ["second"]
        assert first.cancelled_for is None
        first.cancel(CancelReason.STOPPING)

    assert bench.ended == ["second", "first"]


@pytest.mark.parametrize(
    "reason", [CancelReason.STOPPING, CancelReason.LOST, CancelReason.CANCELLED]
)
async def test_run_that_was_timed_out_may_be_cancelled_once_more(reason: CancelReason) -> None:
    bench = Bench()
    async with asyncio.TaskGroup() as group:
        job = bench.run("1", 60_000, group)
        job.cancel(CancelReason.TIMED_OUT)
        job.cancel(reason)
        job.cancel(CancelReason.STOPPING)

    assert job.cancelled_for is reason


@pytest.mark.parametrize("reason", [CancelReason.STOPPING, CancelReason.CANCELLED])
async def test_run_that_goes_on_after_it_was_cancelled_is_timed_out_all_the_same(
    reason: CancelReason,
) -> None:
    bench = Bench()
    cancelled = 0

    async def go_on() -> None:
        nonlocal cancelled
        while cancelled < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled += 1

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        job = bench.run("1", 20, group)
        assert job.task is not None
        job.task.cancel()
        job.task = group.create_task(go_on())
        await asyncio.sleep(0)
        job.cancel(reason, "no more")

    assert (job.cancelled_for, job.cancel_reason_text) == (reason, "no more")


async def test_run_that_has_not_begun_is_only_told() -> None:
    bench = Bench()
    async with asyncio.TaskGroup() as group:
        job = bench.run("1", 60_000, group)
        job.has_begun = False
        job.cancel(CancelReason.STOPPING)
        await asyncio.sleep(0)
        assert bench.ended == []
        assert job.task is not None
        job.task.cancel()
