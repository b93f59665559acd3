"""A handler blocks its process' event loop: the supervisor sees it, logs it and bounds it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from tests.faults.aftermath import Aftermath
from tests.faults.command.conftest import Start
from tests.faults.commands import WorkerCommand
from tests.support import wait_until_sync

from oxcart.sync import Queue

LONG_S = 60
FOR_EVER = 100_000


def wait_for_log(command: WorkerCommand, event: str) -> str:
    """Wait for an event; gives all that was logged from it on."""
    wait_until_sync(lambda: event in command.output(), within=LONG_S, what=f"{event} to be logged")
    return command.output().split(event, 1)[1]


@pytest.mark.parametrize("name", ["block_timed", "block"], ids=["time-out", "no time-out"])
def test_process_whose_loop_is_blocked_for_good_is_killed_and_its_jobs_run_again(
    start: Start, queue: Queue, aftermath: Aftermath, tmp_path: Path, name: str
) -> None:
    """The job's time-out of a second bounds it, and without one the limit for all processes."""
    gate = tmp_path / "gate"
    neighbours = [queue.add("wait_for", {"path": str(gate)}).id for _ in range(3)]
    command = start(OXCART_FROZEN_SECONDS="600" if name == "block_timed" else "8")
    wait_until_sync(
        lambda: len(aftermath.ledger.starts()) == 3, within=LONG_S, what="neighbours to run"
    )
    job = queue.add(name, {"seconds": FOR_EVER, "once": str(tmp_path / "once")})
    blocked = wait_for_log(command, "worker.loop_blocked")
    killed = wait_for_log(command, "supervisor.worker_killed")
    gate.touch()
    aftermath.wait_for(4)

    for text in (blocked, killed):
        assert f"job_id={job.id}" in text.split("pid=")[0]
        assert "time.sleep(seconds)" in text
    assert dict.fromkeys([*neighbours, job.id], "completed") == aftermath.partition().states
    assert 1 == command.output().count("supervisor.worker_killed")


def test_loop_that_is_blocked_for_some_seconds_is_reported_and_goes_on(
    start: Start, queue: Queue, aftermath: Aftermath, tmp_path: Path
) -> None:
    job = queue.add("block", {"seconds": 9, "once": str(tmp_path / "once")})

    command = start()
    wait_for_log(command, "worker.loop_resumed")
    aftermath.wait_for(1)

    assert {job.id: 1} == aftermath.ledger.starts() == aftermath.ledger.ends()
    assert 1 == command.output().count("worker.loop_blocked")


def test_busy_loop_and_stopped_process_are_not_taken_for_blocked(
    start: Start, queue: Queue, aftermath: Aftermath
) -> None:
    job = queue.add("be_busy", {"seconds": 8})

    command = start(OXCART_FROZEN_SECONDS="20")
    wait_until_sync(aftermath.ledger.starts, within=LONG_S, what="the job to run")
    child = int(aftermath.ledger.lines("start")[0]["pid"])
    aftermath.wait_for(1)
    os.kill(child, signal.SIGSTOP)
    wait_for_log(command, "supervisor.worker_stands_still")
    os.kill(child, signal.SIGCONT)
    second = queue.add("be_busy", {"seconds": 4})
    aftermath.wait_for(2)

    assert {job.id: 1, second.id: 1} == aftermath.ledger.ends()
    assert "worker.loop_blocked" not in command.output()
    assert "supervisor.worker_killed" not in command.output()
