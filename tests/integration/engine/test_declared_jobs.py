"""Jobs of an application: declared, called, enqueued from any code."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from tests.integration.engine.running import all_ended, running

from oxcart import App, JobState, Queue, Retention, exponential
from oxcart.errors import ConfigError, PayloadError


class Receipt(msgspec.Struct):
    number: int
    issued_at: datetime


def test_declared_jobs_are_found_by_queue_and_name(app: App) -> None:
    @app.job
    async def bare() -> None: ...

    @app.job("named", queue="images", secrets=frozenset({"token"}))
    async def handler() -> None: ...

    assert {("default", "bare"): bare, ("images", "named"): handler} == dict(app.registry)
    assert ("images", "named", frozenset({"token"})) == (
        handler.queue,
        handler.name,
        handler.secrets,
    )


def test_second_job_of_a_name_is_refused_in_the_same_queue_only(app: App) -> None:
    @app.job("work")
    async def first() -> None: ...

    with pytest.raises(ConfigError, match="'default' has a job named 'work' already"):

        @app.job("work")
        async def second() -> None: ...

    @app.job("work", queue="other")
    async def third() -> None: ...


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"attempts": -1}, "attempts"),
        ({"priority": 2_097_152}, "priority"),
        ({"timeout": "10"}, "timeout"),
        ({"queue": "a:b"}, "queue name"),
    ],
)
def test_wrong_option_is_refused_by_name_when_the_job_is_declared(
    app: App, options: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):

        @app.job(**options)
        async def work() -> None: ...


async def test_declared_job_can_still_be_called_as_a_function(app: App, queue: Queue) -> None:
    @app.job
    async def double(number: int) -> int:
        return 2 * number

    @app.job
    def triple(number: int) -> int:
        return 3 * number

    assert (8, 12) == (await double(4), triple(4))
    assert 0 == (await queue.get_counts()).pending


async def test_job_is_queued_with_the_options_that_it_was_declared_with(app: App) -> None:
    @app.job(
        attempts=7,
        backoff=exponential("2s"),
        priority=3,
        keep_completed=Retention(count=5),
        keep_failed=Retention.ALL,
    )
    async def work() -> None: ...

    options = (await (await work.enqueue()).refresh()).options

    assert (7, exponential("2s"), 3, Retention(count=5), Retention.ALL) == (
        options.attempts, options.backoff, options.priority, options.keep_completed,
        options.keep_failed,
    )  # fmt: skip


async def test_options_of_one_enqueue_leave_the_declaration_as_it_is(app: App) -> None:
    @app.job(attempts=7)
    async def work() -> None: ...

    changed = await work.options(job_id="mine", delay="1h", attempts=2).enqueue()
    plain = await work.enqueue()

    assert ("mine", JobState.DELAYED, 2) == (changed.id, await changed.state(), 2)
    assert (JobState.WAITING, 7) == (await plain.state(), plain.options.attempts)
    with pytest.raises(ConfigError, match="job id"):
        work.options(job_id="active")


async def test_result_has_the_type_that_the_handler_promises(app: App) -> None:
    @app.job
    async def buy(number: int) -> Receipt:
        return Receipt(number, datetime(2026, 11, 24, tzinfo=UTC))

    job = await buy.enqueue(7)
    async with running(app.worker()):
        receipt = await job.result()

    assert Receipt(7, datetime(2026, 11, 24, tzinfo=UTC)) == receipt
    assert {"number": 7, "issued_at": "2026-11-24T00:00:00Z"} == (await job.refresh()).return_value


async def test_job_is_enqueued_from_blocking_code(app: App, queue: Queue) -> None:
    seen: list[int] = []

    @app.job(queue="default")
    async def work(number: int) -> None:
        seen.append(number)

    def block() -> list[str]:
        records = [work.enqueue_sync(number) for number in (1, 2)]
        with pytest.raises(PayloadError):
            work.enqueue_sync("three")  # type: ignore[arg-type]
        return [record.id for record in records]

    ids = await asyncio.to_thread(block)
    async with running(app.worker({"default": 1})):
        await all_ended(queue)

    assert [1, 2] == seen
    assert ids == [job.id for job in await queue.get_jobs(JobState.COMPLETED, ascending=True)]


async def test_jobs_are_enqueued_from_several_threads_and_loops_at_once(
    app: App, queue: Queue
) -> None:
    @app.job
    async def work(number: int) -> None: ...

    async def add_some(first: int) -> list[str]:
        jobs = [await work.enqueue(number) for number in range(first, first + 10)]
        await app._store.aclose()  # this loop's connections alone
        return [job.id for job in jobs]

    def on_a_loop_of_its_own(first: int) -> list[str]:
        return asyncio.run(add_some(first))

    def blocking(first: int) -> list[str]:
        return [work.enqueue_sync(number).id for number in range(first, first + 10)]

    ways = [blocking, blocking, on_a_loop_of_its_own, on_a_loop_of_its_own]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(asyncio.to_thread(way, 10)) for way in ways]
    ids = {job_id for task in tasks for job_id in task.result()}

    assert 40 == len(ids) == (await queue.get_counts()).waiting


async def test_specs_of_a_job_are_added_together(app: App, queue: Queue) -> None:
    @app.job(priority=4)
    async def work(number: int) -> None: ...

    jobs = await queue.add_many([work.spec(number) for number in range(3)])

    assert [{"number": number} for number in range(3)] == [job.data for job in jobs]
    assert {4: 3} == await queue.get_counts_per_priority([4])
