"""Many delayed jobs on the shipped command, without any fault."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from tests.faults.aftermath import Aftermath
from tests.faults.commands import WorkerCommand
from tests.faults.processes import Ledger

from oxcart import JobOptions, JobSpec
from oxcart.sync import Queue

JOBS_PER_S = 300
BATCH = 15


@pytest.fixture
def command(
    tmp_path: Path, prefix: str, ledger: Ledger, valkey_url: str
) -> Iterator[WorkerCommand]:
    """``oxcart worker``, which runs on uvloop."""
    started = WorkerCommand(
        "-q", "q:50", folder=tmp_path, prefix=prefix, ledger=ledger, url=valkey_url
    )
    yield started
    started.kill_all()


@pytest.mark.parametrize(
    "seconds", [20, pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(240)])]
)
def test_delayed_jobs_run_once_and_no_process_dies(
    command: WorkerCommand,
    valkey: redis.Redis,
    valkey_url: str,
    prefix: str,
    ledger: Ledger,
    seconds: int,
) -> None:
    """A due time that came while another was at hand ended the process, on uvloop alone."""
    chance = random.Random(seconds)  # noqa: S311  # no secret
    ids: list[str] = []
    with Queue("q", redis_url=valkey_url, prefix=prefix) as queue:
        began = time.monotonic()
        while len(ids) < JOBS_PER_S * seconds:
            delays = [timedelta(milliseconds=chance.randint(1, 2_000)) for _ in range(BATCH)]
            specs = [JobSpec(name="work", options=JobOptions(delay=delay)) for delay in delays]
            ids += [job.id for job in queue.add_many(specs)]
            # The load's own pace.
            time.sleep(max(0.0, began + len(ids) / JOBS_PER_S - time.monotonic()))
    aftermath = Aftermath(valkey, prefix, ledger)
    aftermath.wait_for(len(ids))

    assert "supervisor.worker_died" not in command.output()
    assert len(command.children()) == 1
    assert {line["pid"] for line in ledger.lines("start")} == set(command.children())
    aftermath.check_all_completed(ids, extra_runs=0)
