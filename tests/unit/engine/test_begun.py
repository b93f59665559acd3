from __future__ import annotations

import asyncio

import pytest

from oxcart._engine.begun import Begun


async def test_work_runs_at_once_up_to_its_first_wait() -> None:
    seen: list[str] = []
    gate = asyncio.Event()

    async def work() -> str:
        seen.append("sent")
        await gate.wait()
        seen.append("answered")
        return "reply"

    begun = Begun(work())
    assert seen == ["sent"]
    gate.set()

    assert await begun == "reply"
    assert seen == ["sent", "answered"]


async def test_work_may_wait_many_times_and_use_timeouts() -> None:
    async def work() -> int:
        async with asyncio.timeout(10):
            for _ in range(3):
                await asyncio.sleep(0)
        return 3

    assert await Begun(work()) == 3


async def test_work_that_never_waits_is_over_before_it_is_awaited() -> None:
    async def work() -> int:
        return 7

    assert await Begun(work()) == 7


@pytest.mark.parametrize("waits", [False, True])
async def test_what_work_raises_is_raised_where_it_is_awaited(*, waits: bool) -> None:
    async def work() -> None:
        if waits:
            await asyncio.sleep(0)
        raise ValueError("broken")

    begun = Begun(work())
    with pytest.raises(ValueError, match="broken"):
        await begun


async def test_cancelling_who_awaits_cancels_the_work() -> None:
    seen: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    started = asyncio.Event()

    async def waits() -> None:
        begun = Begun(work())
        started.set()
        await begun

    async with asyncio.TaskGroup() as group:
        task = group.create_task(waits())
        await started.wait()
        await asyncio.sleep(0)
        task.cancel()

    assert seen == ["cancelled"]
    assert task.cancelled()


async def test_work_may_answer_a_cancellation_with_a_result() -> None:
    async def work() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "kept"
        return "never"

    async def waits() -> str:
        return await Begun(work())

    async with asyncio.TaskGroup() as group:
        task = group.create_task(waits())
        await asyncio.sleep(0)
        task.cancel()

    assert task.result() == "kept"
