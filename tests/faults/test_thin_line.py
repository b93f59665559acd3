"""Lines that carry little: slow progress is no time-out, in either direction.

The time-out is 0.8 s here, and the line carries 1 MB/s; what counts are proportions.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from tests.faults.aftermath import Aftermath
from tests.faults.conftest import StartWorker
from tests.faults.proxy import FaultProxy
from tests.integration.engine.running import all_ended, running, until
from tests.support import ValkeyServer, wait_until
from tests.twins import FACES, Api

from oxcart import App, Job, JobSpec, Queue, Timeouts, current_job
from oxcart.errors import StoreTimeout

GIVEN = Timeouts(connect="2s", command="800ms")
BYTES_PER_S = 1_000_000
LARGE = "x" * 1_500_000


@pytest.fixture
async def proxy(own_valkey: ValkeyServer) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(own_valkey.url, has_small_buffers=True).running() as running:
        yield running


@pytest.fixture(params=sorted(FACES))
def api(request: pytest.FixtureRequest) -> Api:
    """Each face of the API in turn: asyncio's, and the blocking one."""
    return FACES[request.param]


@pytest.fixture
async def behind(api: Api, proxy: FaultProxy, prefix: str) -> AsyncIterator[Queue]:
    """A queue behind the proxy."""
    async with api.Queue("q", redis_url=proxy.url, prefix=prefix, timeouts=GIVEN) as opened:
        await opened.ping()
        yield opened


@pytest.fixture
async def queue(own_valkey: ValkeyServer, prefix: str) -> AsyncIterator[Queue]:
    """The queue, reached without the proxy."""
    async with Queue("q", redis_url=own_valkey.url, prefix=prefix) as opened:
        yield opened


async def test_reply_that_arrives_slowly_is_no_time_out(
    proxy: FaultProxy, behind: Queue, queue: Queue
) -> None:
    job = await queue.add("work", LARGE)
    proxy.bytes_per_s = BYTES_PER_S

    found = await behind.get_job(job.id)

    assert found is not None
    assert LARGE == found.data


async def test_jobs_that_leave_slowly_are_added(
    proxy: FaultProxy, behind: Queue, queue: Queue
) -> None:
    proxy.bytes_per_s = BYTES_PER_S

    await behind.add_many([JobSpec(name="work", data=LARGE[:50_000])] * 30)

    assert 30 == (await queue.get_counts()).waiting


async def test_reply_that_stops_in_the_middle_is_a_time_out(
    proxy: FaultProxy, behind: Queue, queue: Queue
) -> None:
    job = await queue.add("work", LARGE)
    proxy.bytes_per_s = BYTES_PER_S
    clock = asyncio.get_running_loop()
    started = clock.time()
    clock.call_later(1, proxy.stall)

    with pytest.raises(StoreTimeout):
        await behind.get_job(job.id)

    assert 1 < clock.time() - started < 3.5


async def test_command_that_stops_in_the_middle_is_a_time_out(
    proxy: FaultProxy, behind: Queue
) -> None:
    proxy.bytes_per_s = BYTES_PER_S
    clock = asyncio.get_running_loop()
    started = clock.time()
    clock.call_later(1, proxy.stall)

    with pytest.raises(StoreTimeout):
        await behind.add_many([JobSpec(name="work", data=LARGE)] * 8)

    assert 1 < clock.time() - started < 3.5


@dataclass(frozen=True)
class Load:
    """Jobs that are large for their line.

    Attributes:
        count: how many.
        size: bytes of each payload.
        concurrency: places of the worker.
        bytes_per_s: what the line carries.
        timeouts: how long the worker waits for the server.
        lock: how long its locks last.
        within: seconds until all must have run.
    """

    count: int
    size: int
    concurrency: int
    bytes_per_s: int = BYTES_PER_S
    timeouts: Timeouts = GIVEN
    lock: str = "4s"
    within: int = 60


def whole(count: int, size: int, concurrency: int, bytes_per_s: int = 1_000_000) -> Any:
    """A load as large as users have it, with the time-outs that are the defaults."""
    load = Load(count, size, concurrency, bytes_per_s, Timeouts(), "30s", within=180)
    return pytest.param(load, marks=[pytest.mark.slow, pytest.mark.timeout(300)])


@pytest.mark.parametrize(
    "load",
    [
        Load(12, 300_000, 10),
        Load(50, 60_000, 50),
        Load(200, 16_000, 200),
        Load(1, 5_000_000, 1),
        whole(20, 1_500_000, 10),
        whole(50, 400_000, 50),
        whole(40, 300_000, 20, 500_000),
        whole(600, 100_000, 200, 1_250_000),
        whole(6, 3_000_000, 1),
    ],
    ids=lambda load: f"{load.count}x{load.size}",
)
async def test_large_jobs_run_once_over_a_thin_line(
    proxy: FaultProxy,
    queue: Queue,
    prefix: str,
    client: redis.Redis,
    load: Load,
    record_property: Callable[[str, object], None],
) -> None:
    """Steps take several time-outs to arrive; the largest jobs longer than their locks last."""
    runs: Counter[str] = Counter()
    jobs = await add_large(queue, load.count, load.size)
    proxy.bytes_per_s = load.bytes_per_s
    started = time.monotonic()
    async with App(proxy.url, prefix=prefix, timeouts=load.timeouts) as app:

        @app.job("work", queue="q")
        async def work(_: dict[str, Any], /) -> None:
            runs[current_job().job_id] += 1

        worker = app.worker(
            {"q": load.concurrency}, lock=load.lock, stalled_interval="500ms", max_stalled=0
        )
        async with running(worker):
            await all_ended(queue, within=load.within)
    record_property("seconds", round(time.monotonic() - started, 1))

    assert {job.id: 1 for job in jobs} == runs
    assert load.count == (await queue.get_counts()).completed
    fields = [client.hmget(f"{prefix}:q:{job.id}", "ats", "stc") for job in jobs]
    assert all(found == [b"1", None] for found in fields), "a job was taken twice, or stalled"


@pytest.mark.parametrize(
    ("size", "options", "seconds"),
    [
        (150_000, {"max_stalled": 1}, 4.0),
        pytest.param(
            1_500_000,
            {"max_stalled": 1, "lock": "30s", "stalled_interval": "30s"},
            150.0,
            marks=[pytest.mark.slow, pytest.mark.timeout(400)],
        ),
    ],
    ids=["short", "whole"],
)
async def test_jobs_of_a_worker_behind_a_thin_line_run_on_another_one(
    proxy: FaultProxy,
    queue: Queue,
    start_worker: StartWorker,
    aftermath: Aftermath,
    size: int,
    options: dict[str, Any],
    seconds: float,
) -> None:
    """The line is so thin that no job arrives while the first worker lives."""

    async def is_on_its_way() -> bool:
        return (await queue.get_counts()).active > 0

    jobs = await add_large(queue, 20, size)
    proxy.bytes_per_s = max(8_192, int(size / seconds / 2))
    thin = start_worker(url=proxy.url, queues={"q": 10}, **options)
    await until(is_on_its_way, what="jobs to be on their way")
    await asyncio.sleep(seconds)  # how long the line stays thin
    thin.kill()
    start_worker(queues={"q": 10}, **options)
    await wait_until(
        lambda: aftermath.completed_count() == len(jobs), within=120, what="all jobs to end"
    )

    assert {job.id: 1 for job in jobs} == aftermath.ledger.ends()


@pytest.mark.slow
async def test_many_large_jobs_are_added_over_a_thin_line_with_the_default_time_outs(
    proxy: FaultProxy, api: Api, queue: Queue, prefix: str
) -> None:
    proxy.bytes_per_s = BYTES_PER_S
    async with api.Queue("q", redis_url=proxy.url, prefix=prefix) as behind:
        await behind.add_many([JobSpec(name="work", data="x" * 50_000)] * 200)

    assert 200 == (await queue.get_counts()).waiting


async def add_large(queue: Queue, count: int, size: int) -> list[Job[Any]]:
    """Add jobs in portions: their adding is not what is tried."""
    data: Any = {"ms": 1, "ballast": "x" * size}
    return [await queue.add("work", data) for _ in range(count)]
