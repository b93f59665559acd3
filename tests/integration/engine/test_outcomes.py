"""What becomes of a job, by what its handler does."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from tests.integration.engine.running import is_in, running

from oxcart import (
    App,
    Delay,
    Fail,
    GiveBack,
    JobState,
    JsonValue,
    Queue,
    Retention,
    Retry,
    current_job,
    exponential,
    fixed,
)
from oxcart.errors import JobFailed, PayloadError


class Order(msgspec.Struct, rename="camel"):
    order_number: int
    is_paid: bool = False


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("even my text cannot be made")


class UnspeakableRetry(Retry):
    def __str__(self) -> str:
        raise RuntimeError("even my text cannot be made")


async def test_async_handler_gets_its_arguments_and_its_result_is_kept(app: App) -> None:
    @app.job
    async def area(width: int, height: int = 3) -> int:
        return width * height

    job = await area.enqueue(4)
    async with running(app.worker()):
        result = await job.result()

    done = await job.refresh()
    assert 12 == result == done.return_value
    assert (1, 1, None) == (done.attempts_made, done.attempts_started, done.failed_reason)
    assert done.processed_at_ms is not None
    assert done.finished_at_ms is not None
    assert done.created_at_ms <= done.processed_at_ms <= done.finished_at_ms


async def test_plain_function_runs_in_a_thread_and_does_not_hold_up_the_loop(app: App) -> None:
    entered, go_on = threading.Event(), threading.Event()

    @app.job
    def wait_in_thread() -> str:
        entered.set()
        assert go_on.wait(10)
        return threading.current_thread().name

    @app.job
    async def release() -> None:
        go_on.set()

    waiting = await wait_in_thread.enqueue()
    async with running(app.worker()):
        await asyncio.to_thread(entered.wait, 10)
        await release.enqueue()
        name = await waiting.result()

    assert name.startswith("oxcart-handler")


async def test_whole_payload_arrives_as_the_handlers_own_type(app: App, queue: Queue) -> None:
    @app.job
    async def ship(order: Order, /) -> list[Any]:
        return [type(order).__name__, order.order_number, order.is_paid]

    job = await ship.enqueue(Order(order_number=7))
    raw = await queue.add("ship", {"orderNumber": 8, "isPaid": True})
    async with running(app.worker()):
        results = [await job.result(), await raw.result()]

    assert {"orderNumber": 7, "isPaid": False} == job.data
    assert [["Order", 7, False], ["Order", 8, True]] == results


async def test_arguments_that_do_not_fit_are_refused_when_enqueued(app: App, queue: Queue) -> None:
    @app.job
    async def resize(image_id: int) -> None: ...

    with pytest.raises(PayloadError, match="resize"):
        await resize.enqueue("seven")  # type: ignore[arg-type]
    with pytest.raises(PayloadError, match="image"):
        await resize.enqueue()  # type: ignore[call-arg]

    assert 0 == (await queue.get_counts()).pending


async def test_failing_job_is_run_again_until_its_attempts_are_used_up(app: App) -> None:
    attempts: list[tuple[int, int]] = []

    @app.job(attempts=3, backoff=fixed("1ms"))
    async def flaky() -> None:
        attempts.append((current_job().attempt, current_job().max_attempts))
        raise ValueError(f"no {len(attempts)}")

    job = await flaky.enqueue()
    async with running(app.worker()):
        with pytest.raises(JobFailed) as failure:
            await job.result()

    failed = await job.refresh()
    assert [(1, 3), (2, 3), (3, 3)] == attempts
    assert "no 3" == failure.value.reason == failed.failed_reason
    assert (3, 3) == (failed.attempts_made, len(failed.stacktrace))
    assert "ValueError: no 1" in failed.stacktrace[0]


async def test_job_that_succeeds_at_a_later_attempt_is_completed(app: App) -> None:
    @app.job(attempts=3, backoff=None)
    async def second_time_lucky() -> int:
        if current_job().attempt == 1:
            raise ConnectionError("try again")
        return current_job().attempt

    job = await second_time_lucky.enqueue()
    async with running(app.worker()):
        assert 2 == await job.result()


async def test_backoff_makes_the_next_attempt_wait(app: App) -> None:
    runs: list[float] = []

    @app.job(attempts=3, backoff=exponential("100ms"))
    async def slow_down() -> None:
        runs.append(time.monotonic())
        raise ValueError

    job = await slow_down.enqueue()
    async with running(app.worker()):
        failed = await is_in(app.queue("default"), job, JobState.FAILED)

    first, second, third = runs
    # The server counts whole milliseconds.
    assert 0.098 <= second - first < 1.1
    assert 0.198 <= third - second < 1.2
    assert "ValueError" == failed.failed_reason


async def test_handler_that_asks_for_a_retry_sets_the_wait_itself(app: App, queue: Queue) -> None:
    @app.job(attempts=2, backoff=fixed("1ms"))
    async def later() -> None:
        raise Retry("not ready", after="1h")

    job = await later.enqueue()
    async with running(app.worker()):
        delayed = await is_in(queue, job, JobState.DELAYED)

    assert (3_600_000, 1, "not ready") == (
        delayed.delay_ms, delayed.attempts_made, delayed.failed_reason
    )  # fmt: skip


async def test_retry_asked_for_at_the_last_attempt_fails_the_job(app: App, queue: Queue) -> None:
    @app.job(attempts=1)
    async def later() -> None:
        raise Retry("not ready", after="1h")

    job = await later.enqueue()
    async with running(app.worker()):
        failed = await is_in(queue, job, JobState.FAILED)

    assert "not ready" == failed.failed_reason


async def test_handler_that_fails_its_job_for_good_is_not_run_again(app: App, queue: Queue) -> None:
    @app.job(attempts=5)
    async def hopeless() -> None:
        raise Fail("no such address")

    job = await hopeless.enqueue()
    async with running(app.worker()):
        failed = await is_in(queue, job, JobState.FAILED)

    assert ("no such address", 1) == (failed.failed_reason, failed.attempts_made)


@pytest.mark.parametrize("form", ["text", "timedelta", "instant"])
async def test_handler_may_delay_its_job_without_an_attempt(
    app: App, queue: Queue, form: str
) -> None:
    @app.job
    async def tomorrow() -> None:
        hour = timedelta(hours=1)
        until: Any = {"text": "1h", "timedelta": hour, "instant": datetime.now(UTC) + hour}[form]
        raise Delay(until)

    job = await tomorrow.enqueue()
    async with running(app.worker()):
        delayed = await is_in(queue, job, JobState.DELAYED)

    # An instant is rounded to whole ms, the server's clock is cut to them.
    assert 3_590_000 < delayed.delay_ms <= 3_600_001
    assert (0, None) == (delayed.attempts_made, delayed.failed_reason)


async def test_job_given_back_is_run_again_without_an_attempt(app: App) -> None:
    runs = []

    @app.job
    async def not_me() -> int:
        runs.append(current_job().attempt)
        if len(runs) < 3:
            raise GiveBack
        return current_job().attempt

    job = await not_me.enqueue()
    async with running(app.worker()):
        result = await job.result()

    done = await job.refresh()
    assert [1, 1, 1] == runs
    assert (1, 1, 3) == (result, done.attempts_made, done.attempts_started)


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2j}, float("nan"), "\ud800"],
    ids=lambda value: type(value).__name__,
)
async def test_result_that_json_cannot_hold_fails_the_attempt_and_it_is_run_again(
    app: App, queue: Queue, value: object
) -> None:
    @app.job(attempts=3)
    async def strange() -> object:
        return value

    job = await strange.enqueue()
    async with running(app.worker()):
        failed = await is_in(queue, job, JobState.FAILED)

    assert "what the handler returned" in str(failed.failed_reason)
    assert (3, 3) == (failed.attempts_made, failed.attempts_started)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SystemExit(3), "3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (GeneratorExit(), "GeneratorExit"),
        (Unspeakable(), "Unspeakable"),
        (Exception(), "Exception"),
        (
            BaseExceptionGroup("many", [ValueError("one")]),
            "many (1 sub-exception): ValueError: one",
        ),
        (StopAsyncIteration("over"), "over"),
        (asyncio.CancelledError(), "the handler was cancelled"),
        (Exception("bad \ud800 text"), "bad ? text"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, BaseException) else "",
)
async def test_whatever_a_handler_raises_fails_its_own_job_only(
    app: App, queue: Queue, error: BaseException, reason: str
) -> None:
    @app.job(attempts=1)
    async def bad() -> None:
        raise error

    @app.job
    async def good() -> str:
        return "fine"

    job, other = await bad.enqueue(), await good.enqueue()
    async with running(app.worker()):
        failed = await is_in(queue, job, JobState.FAILED)
        assert "fine" == await other.result()

    assert reason == failed.failed_reason


async def test_plain_function_that_exits_fails_its_own_job_only(app: App, queue: Queue) -> None:
    @app.job(attempts=1)
    def leave() -> None:
        sys.exit("goodbye")

    job = await leave.enqueue()
    async with running(app.worker()):
        failed = await is_in(queue, job, JobState.FAILED)

    assert "goodbye" == failed.failed_reason


async def test_huge_error_is_cut(app: App, queue: Queue) -> None:
    @app.job(attempts=1)
    async def shout() -> None:
        raise ValueError("a" * 10_000_000)

    job = await shout.enqueue()
    async with running(app.worker()):
        failed = await is_in(queue, job, JobState.FAILED)

    assert 8_000 == len(str(failed.failed_reason))
    assert 16_000 >= len(failed.stacktrace[0])


async def test_huge_result_and_payload_pass_whole(app: App) -> None:
    @app.job
    async def echo(text: str) -> str:
        return text

    text = "é" * 2_000_000
    job = await echo.enqueue(text)
    async with running(app.worker()):
        assert text == await job.result()


@pytest.mark.parametrize(
    "value",
    [None, 0, "", [], {}, {"ü": [1.5, None, True, "\u0000 ☃"]}, 2**53],
    ids=lambda value: type(value).__name__,
)
async def test_result_comes_back_as_it_was_returned(app: App, value: JsonValue) -> None:
    @app.job
    async def echo(value: JsonValue) -> JsonValue:
        return value

    job = await echo.enqueue(value)
    async with running(app.worker()):
        result = await job.result()

    assert value == result == (await job.refresh()).return_value


async def test_job_that_keeps_nothing_tells_its_result_and_is_gone(app: App) -> None:
    @app.job(keep_completed=Retention.NONE)
    async def work() -> str:
        return "gone"

    job = await work.enqueue()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(job.result())
        async with running(app.worker()):
            await asyncio.wait([waiting])

    assert "gone" == waiting.result()
    assert JobState.UNKNOWN is await job.state()


async def test_jitter_spreads_the_waits_within_its_bounds(app: App, queue: Queue) -> None:
    @app.job(attempts=2, backoff=fixed("1h", jitter=0.5))
    async def flaky() -> None:
        raise ValueError

    jobs = await queue.add_many([flaky.spec()] * 20)
    async with running(app.worker()):
        delays = [(await is_in(queue, job, JobState.DELAYED)).delay_ms for job in jobs]

    assert all(1_800_000 <= delay_ms <= 3_600_000 for delay_ms in delays)
    assert len(set(delays)) > 10


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Retry("bad \ud800 text"), "bad ? text"),
        (Retry("a" * 10_000), "a" * 7_999 + "…"),
        (Fail("bad \ud800 text"), "bad ? text"),
        (UnspeakableRetry(), "UnspeakableRetry"),
        (Retry("why", after="5"), "Retry after is '5'"),
        (Delay("soon"), "Delay is 'soon'"),
    ],
    ids=["surrogate", "huge", "failed", "unspeakable", "no unit", "no duration"],
)
async def test_odd_wish_of_a_handler_fails_its_own_job_only(
    app: App, queue: Queue, error: Exception, reason: str
) -> None:
    @app.job(attempts=1)
    async def odd() -> None:
        raise error

    @app.job
    async def good() -> str:
        return "fine"

    job, other = await odd.enqueue(), await good.enqueue()
    async with running(app.worker()):
        failed = await is_in(queue, job, JobState.FAILED)
        assert "fine" == await other.result()

    assert str(failed.failed_reason).startswith(reason)
