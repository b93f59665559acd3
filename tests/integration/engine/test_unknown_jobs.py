"""Jobs that a worker does not know go to one that does; in the end they fail, and say why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import redis
from tests.integration.engine.running import all_ended, is_in, running, until
from tests.support import wait_until

from oxcart import (
    App,
    Deduplication,
    FlowNode,
    Job,
    JobOptions,
    JobState,
    Queue,
    RateLimit,
    Schedule,
    Worker,
    current_job,
)
from oxcart.errors import PayloadError


@pytest.fixture
async def newer(valkey_url: str, prefix: str) -> AsyncIterator[App]:
    """The next version of the application, with the same queue."""
    async with App(valkey_url, prefix=prefix, build="new") as app:
        yield app


@pytest.fixture
def old(app: App) -> App:
    """The application as it was deployed before: it knows one job only."""

    @app.job
    async def known() -> None: ...

    return app


def declare_resize(app: App) -> list[int]:
    """Declare the job that only the next version has; gives what it ran with."""
    ran: list[int] = []

    @app.job
    async def resize(width: int) -> str:
        ran.append(width)
        return "resized"

    return ran


async def put_back(queue: Queue, job: Job[Any], times: int = 1) -> Job[Any]:
    """Wait until a job was put back so often; gives it as it is then."""

    async def was_put_back() -> bool:
        found = await job.refresh()
        return found.unrun_count >= times and found.unknown is not None

    await until(was_put_back, what=f"job {job.id} to be put back")
    return await job.refresh()


async def test_job_of_an_unknown_name_is_delayed_uncounted_and_says_why(
    old: App, queue: Queue
) -> None:
    job = await queue.add("resize", {"width": 1})

    async with running(old.worker(name="w1")):
        found = await put_back(queue, job)
        state = await job.state()

    assert JobState.DELAYED is state
    assert 800 <= found.delay_ms <= 1_000
    assert (0, None) == (found.attempts_made, found.failed_reason)
    assert found.delay_reason == (
        "no handler for job name 'resize' in this worker (it has: known); put back once; "
        "seen by: w1"
    )


async def test_worker_that_knows_the_job_runs_it_as_soon_as_it_starts(
    old: App, newer: App, queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    ran = declare_resize(newer)
    job = await queue.add("resize", {"width": 7})
    async with running(old.worker()):
        await put_back(queue, job)
    await job.change_delay("20s")
    valkey.zadd(f"{prefix}:default:oxcart:unknown-jobs", _due(valkey, prefix, job.id))

    async with running(newer.worker()):
        done = await is_in(queue, job, JobState.COMPLETED, within=5)

    assert [7] == ran
    assert (1, 1, None) == (done.attempts_made, done.unrun_count, done.unknown)
    assert [] == list(valkey.scan_iter(f"{prefix}:default:oxcart:unknown-jobs"))


def _due(valkey: redis.Redis, prefix: str, job_id: str) -> dict[str, int]:
    score: Any = valkey.zscore(f"{prefix}:default:delayed", job_id)
    return {job_id: int(score // 4_096)}


async def test_job_goes_back_until_the_worker_that_knows_it_takes_it(
    old: App, newer: App, queue: Queue
) -> None:
    """Both versions run all the time, and the old one takes the job first."""
    ran = declare_resize(newer)
    job = await queue.add("resize", {"width": 7})
    async with running(old.worker()):
        await put_back(queue, job)
        async with running(newer.worker()):
            await is_in(queue, job, JobState.COMPLETED)

    assert [7] == ran


@pytest.mark.parametrize("data", [{"number": 1, "added": 2}, {}, {"number": "one"}, [1]], ids=repr)
async def test_payload_that_does_not_fit_goes_to_a_worker_that_it_fits(
    app: App, newer: App, queue: Queue, data: Any
) -> None:
    ran: list[object] = []

    @app.job
    async def work(number: int) -> None:
        ran.append(("old", number))

    @newer.job(name := "work")
    async def any_work(payload: object, /) -> None:
        ran.append(payload)

    job = await queue.add(name, data)
    async with running(app.worker()):
        found = await put_back(queue, job)
        assert "the payload does not fit the handler of job 'work'" in str(found.delay_reason)
    async with running(newer.worker()):
        done = await is_in(queue, job, JobState.COMPLETED)

    assert [data] == ran
    assert (1, None) == (done.attempts_made, done.unknown)


async def test_job_that_no_worker_knows_fails_in_the_end_and_names_them(
    valkey_url: str, prefix: str, queue: Queue
) -> None:
    async def known(_: object) -> None: ...

    job = await queue.add("resize", attempts=5)
    workers = [
        Worker(
            "default",
            {"known": known},
            redis_url=valkey_url,
            prefix=prefix,
            name=name,
            build=name.upper(),
            unknown_job_timeout="1s",
        )
        for name in ("w1", "w2")
    ]
    async with running(*workers):
        failed = await is_in(queue, job, JobState.FAILED)

    reason = str(failed.failed_reason)
    assert "no handler for job name 'resize' in this worker (it has: known); put back " in reason
    assert any(f"{name} (build {name.upper()})" in reason for name in ("w1", "w2"))
    assert (1, None) == (failed.attempts_made, failed.unknown)


async def test_job_that_an_operator_retries_has_its_time_again(old: App, queue: Queue) -> None:
    job = await queue.add("resize")
    async with running(old.worker(unknown_job_timeout="0s")):
        failed = await is_in(queue, job, JobState.FAILED)
    await failed.retry()

    async with running(old.worker()):
        found = await put_back(queue, job)

    assert found.unknown is not None
    assert 1 == found.unknown.count


@pytest.mark.parametrize("fails", ["enqueue", "raise"])
async def test_payload_error_of_the_handler_itself_is_an_ordinary_failed_attempt(
    app: App, queue: Queue, fails: str
) -> None:
    @app.job
    async def other(number: int) -> None: ...

    @app.job(attempts=2, backoff=None)
    async def work() -> None:
        if fails == "enqueue":
            await other.enqueue("one")  # type: ignore[arg-type]  # what is tested
        raise PayloadError("the file's header is wrong")

    job = await work.enqueue()
    async with running(app.worker()):
        failed = await is_in(queue, job, JobState.FAILED)

    assert (2, 0) == (failed.attempts_made, failed.unrun_count)


async def test_being_put_back_does_not_use_up_the_limit_of_starts(
    old: App, newer: App, queue: Queue
) -> None:
    started: list[int] = []

    @newer.job(attempts=5, backoff=None)
    async def resize() -> None:
        started.append(current_job().record.attempts_started)
        raise ValueError("no")

    job = await queue.add("resize", attempts=5)
    async with running(old.worker(max_started_attempts=2)):
        await put_back(queue, job, times=2)
    async with running(newer.worker(max_started_attempts=2)):
        failed = await is_in(queue, job, JobState.FAILED)

    assert [3, 4] == started
    assert 2 == failed.attempts_made


async def test_two_applications_share_a_queue(app: App, newer: App, queue: Queue) -> None:
    ran: list[tuple[str, int]] = []

    @app.job
    async def mail(number: int) -> None:
        ran.append(("mail", number))

    @newer.job
    async def bill(number: int) -> None:
        ran.append(("bill", number))

    async with running(app.worker({"default": 3}), newer.worker({"default": 3})):
        for number in range(20):
            await mail.enqueue(number)
            await bill.enqueue(number)
        await all_ended(queue, within=20)
        counts = await queue.get_counts()

    assert (40, 0) == (counts.completed, counts.failed)
    assert sorted((name, n) for name in ("mail", "bill") for n in range(20)) == sorted(ran)


async def test_schedulers_chain_goes_on_while_its_name_is_unknown(
    old: App, newer: App, queue: Queue
) -> None:
    ran = declare_resize(newer)
    await queue.upsert_scheduler("often", Schedule.every("200ms"), "resize", {"width": 1})

    async def were_made() -> bool:
        return (await queue.get_counts()).delayed >= 3

    async with running(old.worker()):
        await until(were_made, what="three iterations to be made")
        async with running(newer.worker()):
            await wait_until(lambda: len(ran) >= 3, within=10, what="iterations to run")
    await queue.remove_scheduler("often")

    assert 0 == (await queue.get_counts()).failed


async def test_parent_waits_for_a_child_that_is_put_back(
    old: App, newer: App, queue: Queue
) -> None:
    declare_resize(newer)

    @newer.job
    async def assemble() -> list[object]:
        return sorted((await current_job().children_values()).values(), key=str)

    child = FlowNode("resize", "default", data={"width": 1})
    flow = await newer.add_flow(FlowNode("assemble", "default").with_children([child]))
    async with running(old.worker()):
        await put_back(queue, flow.children[0].job)
        assert JobState.WAITING_CHILDREN is await flow.job.state()
    async with running(newer.worker()):
        done = await is_in(queue, flow.job, JobState.COMPLETED)

    assert ["resized"] == done.return_value


async def test_child_that_no_worker_knows_fails_its_parent_as_any_child_does(
    old: App, newer: App, queue: Queue
) -> None:
    child = FlowNode(
        "resize", "default", data={"width": 1}, options=JobOptions(parent_on_failure="fail")
    )
    flow = await newer.add_flow(FlowNode("known", "default").with_children([child]))

    async with running(old.worker(unknown_job_timeout="1s")):
        await is_in(queue, flow.job, JobState.FAILED)

    assert JobState.FAILED is await flow.children[0].job.state()


async def test_deduplication_id_is_held_while_the_job_is_put_back(old: App, queue: Queue) -> None:
    job = await queue.add("resize", {"width": 1}, deduplication=Deduplication(id="once"))
    async with running(old.worker()):
        await put_back(queue, job)
        again = await queue.add("resize", {"width": 2}, deduplication=Deduplication(id="once"))

    assert (job.id, False) == (again.id, again.is_new)


async def test_job_comes_back_with_its_priority(
    old: App, newer: App, queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    job = await queue.add("resize", {"width": 1}, priority=7)
    async with running(old.worker()):
        await put_back(queue, job)
    await queue.promote(job.id)

    assert JobState.PRIORITIZED is await job.state()
    assert 7 == (await job.refresh()).priority


@pytest.mark.parametrize("lifo", [False, True])
async def test_unknown_job_blocks_neither_a_queue_of_one_at_a_time_nor_its_order(
    old: App, queue: Queue, lifo: bool
) -> None:
    await queue.set_concurrency(1)
    unknown = await queue.add("resize", {"width": 1}, lifo=lifo)
    known = [await queue.add("known") for _ in range(3)]

    async with running(old.worker({"default": 4})):
        for job in known:
            await is_in(queue, job, JobState.COMPLETED, within=2)

    assert JobState.FAILED is not await unknown.state()


async def test_unknown_jobs_stay_within_a_rate_limit(old: App, newer: App, queue: Queue) -> None:
    ran = declare_resize(newer)
    limiter = RateLimit(max=5, per="1s")
    for width in range(4):
        await queue.add("resize", {"width": width})
    async with running(old.worker(limiter=limiter), newer.worker(limiter=limiter)):
        await all_ended(queue, within=30)

    assert [0, 1, 2, 3] == sorted(ran)


async def test_middleware_may_see_that_the_payload_does_not_fit(app: App, queue: Queue) -> None:
    seen: list[tuple[type[BaseException], bool]] = []

    @app.middleware
    async def look(job: Any, call_next: Callable[[Any], Awaitable[object]]) -> object:
        try:
            return await call_next(job)
        except PayloadError as error:
            seen.append((type(error), job.payload_error is error))
            raise

    @app.job
    async def work(number: int) -> None: ...

    job = await queue.add("work", {"x": 1})
    async with running(app.worker()):
        await put_back(queue, job)

    assert (PayloadError, True) == seen[0]


async def test_worker_that_stops_leaves_the_job_delayed(old: App, queue: Queue) -> None:
    job = await queue.add("resize")
    worker = old.worker()
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        await put_back(queue, job)
        worker.stop()

    counts = await queue.get_counts()
    assert (1, 0) == (counts.delayed + counts.waiting, counts.active)
