"""What a handler leaves behind does not keep a stopped worker's process alive."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from tests.faults.aftermath import Aftermath
from tests.faults.command.conftest import Start
from tests.support import wait_until_sync

from oxcart.sync import Queue

LONG_S = 60
STOP_S = 9
"""Two seconds of grace, two until the jobs are given back, the end; killed it would be after 10."""


@pytest.mark.parametrize("processes", ["1", "0"])
@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("leave_threads", "completed"),
        ("ignore_cancellation", "wait"),
        ("sleep_in_pool", "wait"),
    ],
)
def test_stopped_worker_ends_with_code_0_whatever_its_handlers_left(
    start: Start, queue: Queue, aftermath: Aftermath, name: str, state: str, processes: str
) -> None:
    job = queue.add(name, {"count": 20} if name == "leave_threads" else {})
    command = start("--processes", processes, OXCART_GRACE_SECONDS="2")
    wait_until_sync(aftermath.ledger.starts, within=LONG_S, what="the job to run")
    if state == "completed":
        aftermath.wait_for(1)
    begun = time.monotonic()
    command.process.send_signal(signal.SIGTERM)
    code = command.wait()
    took_s = time.monotonic() - begun

    assert 0 == code, command.output()
    assert "program.exit_forced" in command.output()
    assert took_s < STOP_S
    partition = aftermath.partition()
    assert ({job.id: state}, set()) == (partition.states, partition.locks)


def test_burst_ends_whatever_its_handlers_left(
    start: Start, queue: Queue, aftermath: Aftermath
) -> None:
    job = queue.add("leave_threads", {"count": 20})

    command = start("--burst")

    assert 0 == command.wait()
    assert "1 jobs: 1 completed" in command.output()
    assert {job.id: "completed"} == aftermath.partition().states


def test_exit_functions_run_and_the_last_lines_are_written(
    start: Start, queue: Queue, aftermath: Aftermath
) -> None:
    queue.add("leave_threads", {"count": 1})
    command = start("--processes", "0", TEST_LAST_WORDS="said at the exit")
    aftermath.wait_for(1)
    command.process.send_signal(signal.SIGTERM)

    assert 0 == command.wait()
    assert "said at the exit" in command.output()
    assert "worker.stopped" in command.output()


def test_process_that_is_stopped_alone_and_does_not_end_is_killed_and_replaced(
    start: Start, queue: Queue, aftermath: Aftermath
) -> None:
    first = queue.add("connected")
    command = start(OXCART_GRACE_SECONDS="1", TEST_HANGS_AT_CLOSE="yes")
    aftermath.wait_for(1)
    stopped = int(aftermath.ledger.lines("start")[0]["pid"])
    os.kill(stopped, signal.SIGTERM)
    wait_until_sync(
        lambda: "supervisor.stop_timed_out" in command.output(), within=LONG_S, what="the limit"
    )
    second = queue.add("connected")
    aftermath.wait_for(2)

    assert stopped != int(aftermath.ledger.lines("start")[1]["pid"])
    assert dict.fromkeys([first.id, second.id], "completed") == aftermath.partition().states


@pytest.mark.slow
def test_command_ends_when_no_process_can_be_started_for_a_minute(
    start: Start, queue: Queue, aftermath: Aftermath, tmp_path: Path
) -> None:
    """A broken deploy: the new code cannot be imported, in both places."""
    jobs = [queue.add("work", {"ms": 500}) for _ in range(8)]
    broken = tmp_path / "broken"
    command = start("--processes", "2", "-q", "q:1", TEST_FAILS_AT_IMPORT_IF=str(broken))
    aftermath.wait_for(len(jobs))
    broken.touch()
    for pid in {int(line["pid"]) for line in aftermath.ledger.lines("start")}:
        os.kill(pid, signal.SIGKILL)

    assert 3 == command.wait(within=300)
    assert "supervisor.gave_up" in command.output()


def test_job_that_ends_its_process_during_the_stop_is_back_and_the_code_is_0(
    start: Start, queue: Queue, aftermath: Aftermath
) -> None:
    job = queue.add("die_when_cancelled")
    command = start(OXCART_GRACE_SECONDS="1")
    wait_until_sync(aftermath.ledger.starts, within=LONG_S, what="the job to run")
    command.process.send_signal(signal.SIGTERM)

    assert 0 == command.wait(), command.output()
    assert "supervisor.worker_died" in command.output()
    partition = aftermath.partition()
    assert ({job.id: "wait"}, set()) == (partition.states, partition.locks)
