"""A program's own worker logs what blocks its event loop."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time

import pytest
from tests.support import wait_until

import oxcart
from oxcart._engine import loop_monitor


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Report a loop that is blocked within a test's time."""
    monkeypatch.setattr(loop_monitor, "TURN_S", 0.05)
    monkeypatch.setattr(loop_monitor, "BLOCKED_S", 0.3)


def block() -> None:
    time.sleep(1.5)


async def handle(job: oxcart.JobContext) -> None:
    if job.name == "inner":
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(str))
            group.create_task(_block_inside())
    else:
        block()


async def _block_inside() -> None:
    block()


@pytest.mark.parametrize("name", ["outer", "inner"])
async def test_worker_without_supervisor_logs_the_job_and_the_stack_once(
    valkey_url: str, prefix: str, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Two workers share the loop. A task that the handler starts is known from Python 3.12 on."""
    caplog.set_level(logging.INFO, logger="oxcart.worker")
    workers = [
        oxcart.Worker(queue, handle, redis_url=valkey_url, prefix=prefix) for queue in ("q", "r")
    ]
    async with (
        oxcart.Queue("q", redis_url=valkey_url, prefix=prefix) as queue,
        asyncio.TaskGroup() as group,
    ):
        for worker in workers:
            group.create_task(worker.run())
        job = await queue.add(name)
        await job.result(timeout="30s")
        await wait_until(lambda: "worker.loop_resumed" in caplog.text, what="the loop to resume")
        for worker in workers:
            worker.stop()

    lines = [record for record in caplog.records if record.msg == "worker.loop_blocked"]
    assert lines
    facts = vars(lines[0])
    assert "time.sleep(1.5)" in facts["stack"]
    assert 1 == facts["running_count"]
    if name == "outer" or sys.version_info >= (3, 12):
        assert ("q", job.id, name) == (facts["queue"], facts["job_id"], facts["job_name"])
    else:
        assert f"q:{job.id}" == facts["running"]
    assert 1 == len({record.threadName for record in lines})
    await wait_until(
        lambda: "oxcart-loop-monitor" not in {thread.name for thread in threading.enumerate()},
        what="the monitor's thread to end",
    )
