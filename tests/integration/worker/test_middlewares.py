"""Middlewares and hooks: what runs around a job, and what it can change."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from tests.integration.engine.running import is_in, running
from tests.support import wait_until

from oxcart import (
    App,
    CallNext,
    Delay,
    Fail,
    FailedJob,
    JobContext,
    JobState,
    Worker,
    current_job,
    fixed,
)
from oxcart.errors import ConfigError, JobFailed


@pytest.mark.parametrize("in_thread", [False, True])
async def test_job_passes_the_middlewares_in_their_order_and_comes_back(
    app: App, in_thread: bool
) -> None:
    seen: list[str] = []

    @app.middleware
    async def outer(job: JobContext, call_next: CallNext) -> object:
        seen.append(f"outer in {job.name} {job.attempt}")
        result = await call_next(job)
        seen.append(f"outer out {result}")
        return result

    @app.middleware
    async def inner(job: JobContext, call_next: CallNext) -> object:
        seen.append("inner in")
        result = await call_next(job)
        seen.append(f"inner out {result}")
        return [result, "changed"]

    async def on_loop() -> object:
        seen.append("handler")
        return "result"

    def in_a_thread() -> object:
        seen.append("handler")
        return "result"

    app.job("work")(in_a_thread if in_thread else on_loop)

    async with running(app.worker()):
        result = await (await app.queue("default").add("work")).result()

    assert ["result", "changed"] == result
    assert [
        "outer in work 1",
        "inner in",
        "handler",
        "inner out result",
        "outer out ['result', 'changed']",
    ] == seen


async def test_middleware_may_replace_an_error_or_make_a_result_of_it(app: App) -> None:
    @app.middleware
    async def translate(job: JobContext, call_next: CallNext) -> object:
        try:
            return await call_next(job)
        except KeyError as error:
            raise Fail(f"no such key: {error}") from error
        except ZeroDivisionError:
            return "infinite"

    @app.job(attempts=5)
    async def look_up() -> None:
        raise KeyError("colour")

    @app.job(attempts=5)
    async def divide() -> object:
        return 1 / 0

    async with running(app.worker()):
        missing, quotient = await look_up.enqueue(), await divide.enqueue()

        with pytest.raises(JobFailed, match="no such key: 'colour'"):
            await missing.result()
        assert "infinite" == await quotient.result()
    assert 1 == (await missing.refresh()).attempts_made


async def test_middleware_that_does_not_call_on_answers_for_the_handler(app: App) -> None:
    ran: list[str] = []

    @app.middleware
    async def only_once(job: JobContext, call_next: CallNext) -> object:
        if job.data == {"key": "known"}:
            return "from the cache"
        return await call_next(job)

    @app.job
    async def work(key: str) -> object:
        ran.append(key)
        return "fresh"

    async with running(app.worker()):
        known, new = await work.enqueue("known"), await work.enqueue("new")

        assert ["from the cache", "fresh"] == [await known.result(), await new.result()]
    assert ["new"] == ran


async def test_middleware_sees_each_attempt_and_its_own_error_counts_as_one(app: App) -> None:
    attempts: list[int] = []

    @app.middleware
    async def broken(job: JobContext, call_next: CallNext) -> object:
        attempts.append(job.attempt)
        await call_next(job)
        raise OSError("the middleware broke")

    @app.job(attempts=2, backoff=fixed("1ms"))
    async def work() -> None: ...

    async with running(app.worker()):
        job = await work.enqueue()
        with pytest.raises(JobFailed, match="the middleware broke"):
            await job.result()

    assert [1, 2] == attempts


async def test_middleware_is_within_the_time_out_and_sees_its_end(app: App) -> None:
    seen: list[type[BaseException]] = []

    @app.middleware
    async def watch(job: JobContext, call_next: CallNext) -> object:
        try:
            return await call_next(job)
        except BaseException as error:
            seen.append(type(error))
            raise

    @app.job(attempts=1, timeout="50ms")
    async def hang() -> None:
        await asyncio.Event().wait()

    async with running(app.worker()):
        job = await hang.enqueue()
        with pytest.raises(JobFailed, match="timed out after 50 ms"):
            await job.result()

    assert [asyncio.CancelledError] == seen


async def test_handler_still_steers_its_job_through_a_middleware(app: App) -> None:
    @app.middleware
    async def passing(job: JobContext, call_next: CallNext) -> object:
        return await call_next(job)

    @app.job
    async def later() -> None:
        raise Delay("1h")

    async with running(app.worker()):
        job = await later.enqueue()
        delayed = await is_in(app.queue("default"), job, JobState.DELAYED)

    assert 0 == delayed.attempts_made


async def test_middleware_of_a_plain_worker_is_met_by_every_handler(
    valkey_url: str, prefix: str, app: App
) -> None:
    seen: list[str] = []

    async def note(job: JobContext, call_next: CallNext) -> object:
        seen.append(job.name)
        return [await call_next(job)]

    async def on_loop(job: JobContext) -> object:
        return "loop"

    def in_thread(job: JobContext) -> object:
        return threading.current_thread() is threading.main_thread()

    worker = Worker(
        "q", {"a": on_loop, "b": in_thread}, redis_url=valkey_url, prefix=prefix, middlewares=[note]
    )
    async with running(worker):
        first, second = await app.queue("q").add("a"), await app.queue("q").add("b")

        assert [["loop"], [False]] == [await first.result(), await second.result()]
    assert ["a", "b"] == sorted(seen)


def test_middleware_that_is_no_async_def_is_refused_when_it_is_given(app: App) -> None:
    def plain(job: JobContext, call_next: CallNext) -> Any:
        return call_next(job)

    with pytest.raises(ConfigError, match=r"middleware .*plain must be an async def"):
        app.middleware(plain)
    with pytest.raises(ConfigError, match="must be an async def"):
        Worker("q", lambda job: None, redis_url="redis://127.0.0.1:1/0", middlewares=[plain])


async def test_hooks_run_before_and_after_the_handler(app: App) -> None:
    seen: list[Any] = []

    @app.before
    async def before_on_loop(job: JobContext) -> None:
        seen.append(("before", job.job_id))

    @app.before
    def before_in_thread(job: JobContext) -> None:
        seen.append(("before in main thread", threading.current_thread().name == "MainThread"))

    @app.after
    def after(job: JobContext, result: object) -> None:
        seen.append(("after", job.job_id, result))

    @app.job
    async def work() -> str:
        seen.append("handler")
        return "done"

    async with running(app.worker()):
        job = await work.enqueue()
        assert "done" == await job.result()

    assert [
        ("before", job.id),
        ("before in main thread", False),
        "handler",
        ("after", job.id, "done"),
    ] == seen


async def test_error_of_a_hook_before_fails_the_attempt_and_keeps_the_handler_from_running(
    app: App,
) -> None:
    ran: list[int] = []

    @app.before
    async def not_the_first_time(job: JobContext) -> None:
        if job.attempt == 1:
            raise ConnectionError("not yet")

    @app.job(attempts=2, backoff=None)
    async def work() -> int:
        ran.append(current_job().attempt)
        return current_job().attempt

    async with running(app.worker()):
        job = await work.enqueue()
        assert 2 == await job.result()

    assert [2] == ran
    assert "not yet" in (await job.refresh()).stacktrace[0]


async def test_error_of_a_hook_after_is_logged_and_the_next_hook_is_told(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[object] = []

    @app.after
    async def breaks(job: JobContext, result: object) -> None:
        raise RuntimeError("the hook breaks")

    @app.after
    async def works(job: JobContext, result: object) -> None:
        told.append(result)

    @app.job(attempts=1)
    async def work() -> str:
        return "done"

    @app.job(attempts=1)
    async def fails() -> None:
        raise ValueError

    async with running(app.worker()):
        failing, job = await fails.enqueue(), await work.enqueue()
        assert "done" == await job.result()
        await is_in(app.queue("default"), failing, JobState.FAILED)

    assert ["done"] == told  # and nothing of the job that failed
    assert 1 == caplog.text.count("job.after_hook_failed")


async def test_hook_after_that_hangs_does_not_cost_the_job_its_result(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    @app.after
    async def hangs(job: JobContext, result: object) -> None:
        await asyncio.Event().wait()

    @app.job(attempts=1, timeout="100ms")
    async def work() -> str:
        return "done"

    async with running(app.worker()):
        assert "done" == await (await work.enqueue()).result()

    assert "job.after_hooks_cut_short" in caplog.text


async def test_result_stands_when_the_worker_stops_during_a_hook_after(app: App) -> None:
    entered = asyncio.Event()

    @app.after
    async def hangs(job: JobContext, result: object) -> None:
        entered.set()
        await asyncio.Event().wait()

    @app.job
    async def work() -> str:
        return "done"

    job = await work.enqueue()
    async with running(app.worker()):
        await entered.wait()

    assert (JobState.COMPLETED, "done") == (await job.state(), (await job.refresh()).return_value)


async def test_every_final_failure_is_told_to_all_hooks_whatever_one_of_them_does(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[tuple[str, str]] = []

    async def own(failed: FailedJob) -> None:
        told.append(("own", failed.name))
        raise RuntimeError("the job's own hook breaks")

    @app.on_failure
    def in_thread(failed: FailedJob) -> None:
        told.append(("thread", failed.name))
        raise RuntimeError("this one too")

    @app.on_failure
    async def on_loop(failed: FailedJob) -> None:
        told.append((failed.reason, failed.name))

    @app.job(attempts=2, backoff=None, on_failure=own)
    async def work() -> None:
        raise ValueError("no")

    async with running(app.worker(unknown_job_timeout="0s")):
        await work.enqueue()
        await wait_until(lambda: len(told) == 3, what="all hooks to be told of the failure")
        await app.queue("default").add("stranger")
        await wait_until(lambda: len(told) == 5, what="the hooks to be told of the unknown name")

    assert [("own", "work"), ("thread", "work"), ("no", "work"), ("thread", "stranger")] == told[:4]
    assert "no handler for job name 'stranger'" in told[4][0]
    assert 3 == caplog.text.count("job.on_failure_hook_failed")


async def test_jobs_own_hook_may_be_a_plain_function(app: App) -> None:
    told: list[str] = []

    def own(failed: FailedJob) -> None:
        told.append(failed.reason)

    @app.job(attempts=1, on_failure=own)
    async def work() -> None:
        raise ValueError("no")

    async with running(app.worker()):
        await work.enqueue()
        await wait_until(lambda: told == ["no"], what="the hook to be told")


async def test_worker_has_the_middlewares_that_were_there_when_it_was_made(app: App) -> None:
    seen: list[str] = []

    @app.job
    async def work() -> None: ...

    @app.middleware
    async def declared_after_the_job(job: JobContext, call_next: CallNext) -> object:
        seen.append("early")
        return await call_next(job)

    worker = app.worker()

    @app.middleware
    async def declared_after_the_worker(job: JobContext, call_next: CallNext) -> object:
        seen.append("late")
        return await call_next(job)

    async with running(worker):
        await (await work.enqueue()).result()

    assert ["early"] == seen
