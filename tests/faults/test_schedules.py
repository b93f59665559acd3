"""Schedules go on whatever becomes of the workers that take their jobs."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from random import Random

import pytest
import redis
from tests.faults.aftermath import Aftermath
from tests.faults.conftest import StartWorker
from tests.faults.processes import QUICK
from tests.support import ValkeyServer, wait_until

from oxcart import Queue, Schedule

SECONDS = (1, 2, 3)
"""The intervals of the schedules, one each."""
WORKERS = 3
UNHURRIED = {"lock": "30s", "stalled_interval": "30s"}
"""Options of workers that leave it to others to notice a dead one."""
MOST_MISSED = 0.01
"""Share of the slots that may have no job."""


@dataclass(frozen=True, slots=True)
class Slots:
    """The times for which a schedule made jobs.

    Attributes:
        every_ms: the interval.
        made: the times, in order.
        until_ms: when they were looked at.
    """

    every_ms: int
    made: Sequence[int]
    until_ms: int

    @property
    def expected_count(self) -> int:
        """How many slots there were so far, the pending job's included."""
        return 1 + (max(self.until_ms, self.made[-1]) - self.made[0]) // self.every_ms

    @property
    def missed_count(self) -> int:
        """How many of them have no job."""
        return self.expected_count - len(self.made)

    @property
    def longest_gap(self) -> float:
        """The longest time without a job, in intervals."""
        ends = itertools.chain(self.made, [max(self.until_ms, self.made[-1])])
        return max(later - sooner for sooner, later in itertools.pairwise(ends)) / self.every_ms


@pytest.fixture
async def queue(own_valkey: ValkeyServer, prefix: str) -> AsyncIterator[Queue]:
    async with Queue("q", redis_url=own_valkey.url, prefix=prefix) as opened:
        yield opened


def slots_of(client: redis.Redis, prefix: str, seconds: int) -> Slots:
    """The slots of a schedule for which there are jobs, whatever their state."""
    until = time.time()
    keys = client.scan_iter(f"{prefix}:q:repeat:every-{seconds}:*", count=10_000)
    made = {int(key.rpartition(b":")[2]) for key in keys if not key.endswith(b":lock")}
    return Slots(seconds * 1_000, sorted(made), round(until * 1_000))


async def all_up(client: redis.Redis) -> None:
    """Wait until so many workers wait for jobs."""
    await wait_until(
        lambda: sum(row["name"] != "" for row in client.client_list()) >= WORKERS,
        within=30,
        what="the workers to be up",
    )


async def make_schedules(queue: Queue) -> None:
    for seconds in SECONDS:
        schedule = Schedule.every(f"{seconds}s")
        await queue.upsert_scheduler(f"every-{seconds}", schedule, "work", {"ms": 100})


async def passed(seconds: float) -> None:
    started = time.monotonic()
    await wait_until(
        lambda: time.monotonic() > started + seconds, within=seconds + 10, what="time to pass"
    )


def check_slots(client: redis.Redis, prefix: str, intervals: Sequence[int] = SECONDS) -> None:
    """Assert that nearly every slot has a job, that no two are too far apart, and none is odd."""
    found = [slots_of(client, prefix, seconds) for seconds in intervals]
    expected = sum(slots.expected_count for slots in found)
    missed = sum(slots.missed_count for slots in found)
    gaps = [round(slots.longest_gap, 2) for slots in found]
    figures = f"{missed} of {expected} slots missed, longest gaps {gaps} intervals"
    print(figures)  # noqa: T201  # the figures, shown with -s or when the test fails
    for slots in found:
        assert {0} == {(at - slots.made[0]) % slots.every_ms for at in slots.made}
    assert missed <= max(1, MOST_MISSED * expected), figures
    assert max(gaps) < 3, figures


@pytest.mark.parametrize("seconds", [25, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.timeout(600)
async def test_workers_killed_all_the_time_cost_no_slots(
    queue: Queue,
    client: redis.Redis,
    prefix: str,
    start_worker: StartWorker,
    aftermath: Aftermath,
    seconds: int,
) -> None:
    random = Random(seconds)  # noqa: S311  # kills need no secrecy
    workers = [start_worker(**UNHURRIED) for _ in range(WORKERS)]
    await all_up(client)
    await make_schedules(queue)

    until = time.monotonic() + seconds
    for turn in itertools.cycle(range(WORKERS)):
        await passed(random.uniform(0, 0.3))
        workers[turn].kill()
        workers[turn] = start_worker(**UNHURRIED)
        await all_up(client)
        if time.monotonic() > until:
            break

    check_slots(client, prefix)


async def test_job_that_kills_its_process_keeps_its_slots(
    queue: Queue,
    client: redis.Redis,
    prefix: str,
    start_worker: StartWorker,
    aftermath: Aftermath,
) -> None:
    options = {**QUICK, "max_stalled": 1}
    workers = [start_worker(**options) for _ in range(WORKERS)]
    await all_up(client)
    await queue.upsert_scheduler("every-4", Schedule.every("4s"), "die")

    until = time.monotonic() + 25
    while time.monotonic() < until:
        await passed(0.05)
        workers = [worker if worker.is_alive else start_worker(**options) for worker in workers]

    check_slots(client, prefix, [4])
    assert int(client.zcard(f"{prefix}:q:failed")) >= 3
    assert max(aftermath.ledger.starts().values()) <= 2
