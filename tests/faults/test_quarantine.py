"""Jobs that a dead process held are run alone: only the one that kills is failed.

The stalled check is switched off, so that jobs come back without it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.faults.aftermath import Aftermath
from tests.faults.commands import WorkerCommand
from tests.faults.conftest import StartWorker
from tests.faults.processes import Ledger
from tests.support import ValkeyServer, wait_until_sync

from oxcart.sync import Queue

LONG_S = 60
REASON = b"job stalled more than allowable limit: the process that ran it alone died 2 times"


@pytest.fixture
def queue(own_valkey: ValkeyServer, prefix: str, client: redis.Redis) -> Iterator[Queue]:
    client.set(f"{prefix}:q:stalled-check", "just now")
    with Queue("q", redis_url=own_valkey.url, prefix=prefix) as opened:
        yield opened


@pytest.fixture
def command(
    tmp_path: Path, prefix: str, ledger: Ledger, own_valkey: ValkeyServer
) -> Iterator[WorkerCommand]:
    """The command, started when its first attribute is asked for by the test."""
    started = WorkerCommand(
        "-q", "q:10", folder=tmp_path, prefix=prefix, ledger=ledger, url=own_valkey.url
    )
    yield started
    started.kill_all()


def states_of(client: redis.Redis, prefix: str, name: str) -> int:
    found: Any = client.zcard(f"{prefix}:q:{name}")
    return int(found)


def test_job_that_kills_its_process_fails_and_those_beside_it_complete(
    queue: Queue, command: WorkerCommand, aftermath: Aftermath, client: redis.Redis, prefix: str
) -> None:
    beside = [queue.add("work", {"ms": 1_500}) for _ in range(9)]
    poison = queue.add("die")
    behind = [queue.add("work", {"ms": 10}) for _ in range(20)]
    wait_until_sync(
        lambda: states_of(client, prefix, "completed") + states_of(client, prefix, "failed") == 30,
        within=LONG_S,
        what="all jobs to end",
    )

    states = aftermath.partition().states
    assert {poison.id: "failed"} == {key: at for key, at in states.items() if at != "completed"}
    assert REASON == client.hget(f"{prefix}:q:{poison.id}", "failedReason")
    for job in (*beside, *behind):
        fields: Any = client.hgetall(f"{prefix}:q:{job.id}")
        assert (b"1", None) == (fields[b"atm"], fields.get(b"stc"))
    assert 0 == command.process.poll() or command.process.poll() is None


def test_jobs_in_quarantine_go_back_when_the_command_stops(
    queue: Queue,
    command: WorkerCommand,
    aftermath: Aftermath,
    client: redis.Redis,
    prefix: str,
    tmp_path: Path,
) -> None:
    never = str(tmp_path / "never")
    jobs = [queue.add("wait_for", {"path": never}) for _ in range(10)]
    wait_until_sync(
        lambda: len(aftermath.ledger.starts()) == 10, within=LONG_S, what="all jobs to begin"
    )
    os.kill(aftermath.ledger.lines("start")[0]["pid"], signal.SIGKILL)
    # Four at a time, each in a process of its own.
    wait_until_sync(
        lambda: sum(aftermath.ledger.starts().values()) == 14, within=LONG_S, what="four to begin"
    )
    command.process.terminate()
    command.process.send_signal(signal.SIGINT)

    assert 0 == command.wait()
    assert {job.id: "wait" for job in jobs} == aftermath.partition().states
    marks: Any = [client.hget(f"{prefix}:q:{job.id}", "ox:alone") for job in jobs]
    assert 6 == marks.count(b"1")
    assert [] == [job.id for job in jobs if client.hget(f"{prefix}:q:{job.id}", "stc")]


def test_jobs_of_a_killed_process_tree_are_back_within_seconds_of_the_next_start(
    queue: Queue,
    aftermath: Aftermath,
    tmp_path: Path,
    prefix: str,
    ledger: Ledger,
    own_valkey: ValkeyServer,
) -> None:
    gate = tmp_path / "gate"
    jobs = [queue.add("wait_for", {"path": str(gate)}) for _ in range(3)]

    def start() -> WorkerCommand:
        return WorkerCommand(folder=tmp_path, prefix=prefix, ledger=ledger, url=own_valkey.url)

    first = start()
    wait_until_sync(lambda: len(ledger.starts()) == 3, within=LONG_S, what="all jobs to begin")
    first.kill_all()
    second = start()
    try:
        gate.touch()
        aftermath.wait_for(3, within=20)
    finally:
        second.kill_all()

    assert {job.id: "completed" for job in jobs} == aftermath.partition().states
    assert "worker.found_dead" in second.output()


async def test_job_that_kills_a_program_of_its_own_does_not_fail_those_beside_it(
    queue: Queue, start_worker: StartWorker, aftermath: Aftermath, client: redis.Redis, prefix: str
) -> None:
    """Without a supervisor, each start of the program runs the marked jobs alone."""
    beside = [queue.add("work", {"ms": 1_500}) for _ in range(5)]
    poison = queue.add("exit", {"code": 1})
    for _ in range(8):
        worker = start_worker(max_stalled=1, lock="10s")
        wait_until_sync(
            lambda: not worker.is_alive or states_of(client, prefix, "failed"),  # noqa: B023
            within=LONG_S,
            what="the program to die or the job to fail",
        )
        if states_of(client, prefix, "failed"):
            break
    wait_until_sync(
        lambda: states_of(client, prefix, "completed") == 5, within=LONG_S, what="the others to end"
    )

    assert {poison.id: "failed", **{job.id: "completed" for job in beside}} == (
        aftermath.partition().states
    )
