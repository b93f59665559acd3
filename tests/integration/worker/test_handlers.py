"""Running handlers: what they get, what they return, what they raise."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import msgspec
import pytest
import redis
from tests.integration.engine.running import all_ended, is_in, running
from tests.support import wait_until

from oxcart import (
    App,
    Delay,
    Fail,
    FailedJob,
    GiveBack,
    JobContext,
    JobState,
    Retry,
    Worker,
    current_job,
    fixed,
)
from oxcart.errors import ConfigError, JobFailed, PayloadError


class Address(msgspec.Struct, rename="camel"):
    street_name: str
    zip_code: int = 0


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


async def test_payload_is_bound_to_parameters_and_converted(app: App) -> None:
    @app.job
    async def ship(order: int, address: Address, note: str | None = None) -> list[Any]:
        return [order, type(address).__name__, address.street_name, note]

    async with running(app.worker()):
        job = await ship.enqueue(7, Address("Ox Lane"))
        by_node = await app.queue("default").add(
            "ship", {"order": 8, "address": {"streetName": "Cart Way", "zipCode": 5}}
        )

        assert [7, "Address", "Ox Lane", None] == await job.result()
        assert [8, "Address", "Cart Way", None] == await by_node.result()


async def test_positional_only_parameter_gets_the_whole_payload(app: App) -> None:
    @app.job
    async def move(address: Address, /) -> str:
        return address.street_name

    async with running(app.worker()):
        job = await move.enqueue(Address("Ox Lane"))

        assert {"streetName": "Ox Lane", "zipCode": 0} == job.data
        assert "Ox Lane" == await job.result()


async def test_plain_function_runs_in_a_thread_with_its_context(app: App) -> None:
    @app.job
    def work(number: int) -> list[Any]:
        job = current_job()
        job.sync.progress(50)
        job.sync.log("half")
        return [number, job.attempt, threading.current_thread() is threading.main_thread()]

    async with running(app.worker()):
        job = await work.enqueue(3)

        assert [3, 1, False] == await job.result()
        assert 50 == (await job.refresh()).progress
        assert ("half",) == (await app.queue("default").get_logs(job.id)).rows


@pytest.mark.parametrize(
    "data", [{"number": "seven"}, {}, {"number": 1, "extra": 2}, [1], "text", None, 5]
)
async def test_payload_that_does_not_fit_fails_for_good_with_the_reason(
    app: App, data: Any
) -> None:
    runs = []

    @app.job(attempts=5)
    async def work(number: int) -> None:
        runs.append(number)

    async with running(app.worker(unknown_job_timeout="0s")):
        job = await app.queue("default").add("work", {"x": 0} if data is None else data, attempts=5)
        failed = await is_in(app.queue("default"), job, JobState.FAILED)

    assert [] == runs
    assert 1 == failed.attempts_made
    assert "does not fit the handler of job 'work'" in str(failed.failed_reason)


async def test_payload_that_does_not_fit_is_refused_where_it_is_enqueued(app: App) -> None:
    @app.job
    async def work(number: int) -> None: ...

    with pytest.raises(PayloadError, match=r"\$\.number"):
        await work.enqueue("seven")  # type: ignore[arg-type]
    with pytest.raises(PayloadError, match="missing a required argument"):
        await work.enqueue()  # type: ignore[call-arg]


async def test_unknown_name_fails_alone_and_says_what_is_known(app: App) -> None:
    @app.job
    async def known() -> str:
        return "fine"

    async with running(app.worker(unknown_job_timeout="0s")):
        stranger = await app.queue("default").add("stranger", attempts=3)
        job = await known.enqueue()

        assert "fine" == await job.result()
        with pytest.raises(JobFailed, match=r"'stranger' in this worker \(it has: known\)"):
            await stranger.result()


@pytest.mark.parametrize("field", ["data", "opts"])
async def test_job_with_unreadable_json_fails_alone(
    app: App, valkey: redis.Redis, prefix: str, field: str
) -> None:
    @app.job
    async def work() -> str:
        return "fine"

    bad, good = await work.enqueue(), await work.enqueue()
    valkey.hset(f"{prefix}:default:{bad.id}", field, "{broken")

    async with running(app.worker({"default": 2})):
        assert "fine" == await good.result()
        with pytest.raises(JobFailed, match=f"{field}.* not .*readable JSON"):
            await bad.result()


async def test_ids_without_a_readable_job_leave_the_queue(
    app: App, valkey: redis.Redis, prefix: str
) -> None:
    @app.job
    async def work() -> str:
        return "fine"

    ghost, wrong, good = [await work.enqueue() for _ in range(3)]
    valkey.delete(f"{prefix}:default:{ghost.id}", f"{prefix}:default:{wrong.id}")
    valkey.set(f"{prefix}:default:{wrong.id}", "not a hash")

    async with running(app.worker({"default": 1})):
        assert "fine" == await good.result()
        await all_ended(app.queue("default"))

    assert [] == valkey.lrange(f"{prefix}:default:active", 0, -1)


@pytest.mark.parametrize("value", [object(), float("nan"), {1: {2}, "x": object()}, 1j])
async def test_result_that_json_cannot_hold_is_retried(app: App, value: object) -> None:
    runs = []

    @app.job(attempts=4, backoff=fixed("1ms"))
    async def work() -> object:
        runs.append(1)
        return value

    async with running(app.worker()):
        job = await work.enqueue()
        with pytest.raises(JobFailed, match="what the handler returned"):
            await job.result()

    assert [1] * 4 == runs


async def test_attempt_that_returns_what_json_can_hold_completes_the_job(app: App) -> None:
    results = iter([float("nan"), float("inf"), 1.5])

    @app.job(attempts=4, backoff=fixed("1ms"))
    async def work() -> float:
        return next(results)

    async with running(app.worker()):
        job = await work.enqueue()

        assert 1.5 == await job.result()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("wrong order"), "wrong order"),
        (SystemExit(3), "3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (GeneratorExit(), "GeneratorExit"),
        (StopIteration(), "coroutine raised StopIteration"),
        (Unspeakable(), "Unspeakable"),
        (ValueError("\ud800"), "?"),
        (ValueError("x" * 100_000), "x" * 7_999 + "…"),
    ],
)
@pytest.mark.parametrize("in_thread", [False, True])
async def test_whatever_a_handler_raises_fails_its_job_and_not_the_worker(
    app: App, error: BaseException, reason: str, in_thread: bool
) -> None:
    async def on_loop() -> None:
        raise error

    def in_a_thread() -> None:
        raise error

    app.job("bad", attempts=1)(in_a_thread if in_thread else on_loop)

    @app.job
    async def good() -> str:
        return "fine"

    async with running(app.worker({"default": 2})):
        bad = await app.queue("default").add("bad")
        failed = await is_in(app.queue("default"), bad, JobState.FAILED)

        assert reason == failed.failed_reason
        assert 1 == len(failed.stacktrace)
        assert "fine" == await (await good.enqueue()).result()


async def test_failed_attempts_are_repeated_until_they_are_used_up(app: App) -> None:
    attempts = []

    @app.job(attempts=3, backoff=fixed("20ms"))
    async def flaky() -> None:
        attempts.append(current_job().attempt)
        raise OSError(f"attempt {attempts[-1]}")

    async with running(app.worker()):
        job = await flaky.enqueue()
        failed = await is_in(app.queue("default"), job, JobState.FAILED)

    assert [1, 2, 3] == attempts
    assert ("attempt 3", 3, 3) == (
        failed.failed_reason,
        failed.attempts_made,
        len(failed.stacktrace),
    )


async def test_handler_steers_its_job(app: App) -> None:
    seen: list[str] = []

    @app.job(attempts=3, backoff=fixed("1h"))
    async def steered(way: str) -> str:
        job = current_job()
        seen.append(way)
        if seen.count(way) > 1:
            return f"{way} {job.attempt}"
        match way:
            case "retry":
                raise Retry("once more", after="10ms")
            case "delay":
                raise Delay("10ms")
            case "give back":
                raise GiveBack
            case _:
                raise Fail("hopeless")

    async with running(app.worker()):
        jobs = {way: await steered.enqueue(way) for way in ("retry", "delay", "give back", "fail")}

        assert "retry 2" == await jobs["retry"].result()
        assert "delay 1" == await jobs["delay"].result()
        assert "give back 1" == await jobs["give back"].result()
        with pytest.raises(JobFailed, match="hopeless"):
            await jobs["fail"].result()
    assert 1 == (await jobs["fail"].refresh()).attempts_made


async def test_hook_is_told_of_jobs_that_failed_for_good_and_may_break(app: App) -> None:
    told: list[FailedJob] = []

    async def on_failure(failed: FailedJob) -> None:
        told.append(failed)
        raise RuntimeError("the hook breaks")

    @app.job(attempts=2, backoff=None, on_failure=on_failure)
    async def work(number: int) -> None:
        raise OSError("no")

    async with running(app.worker(unknown_job_timeout="0s")):
        job = await work.enqueue(1)
        misfit = await app.queue("default").add("work", {"number": "x"})
        await wait_until(lambda: len(told) == 2, what="the hook to be told twice")

    reasons = {item.id: item.reason for item in told}
    assert {job.id, misfit.id} == set(reasons)
    assert "no" == reasons[job.id]
    assert "does not fit" in reasons[misfit.id]


@pytest.mark.parametrize("in_thread", [False, True])
async def test_handler_over_its_time_is_ended_and_counts_as_failed(
    app: App, in_thread: bool
) -> None:
    ended = threading.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    def hang_in_thread() -> None:
        try:
            while True:
                time.sleep(0.001)
        finally:
            ended.set()

    app.job("hang", attempts=1, timeout="100ms")(hang_in_thread if in_thread else hang)

    async with running(app.worker()):
        job = await app.queue("default").add("hang")
        failed = await is_in(app.queue("default"), job, JobState.FAILED)

    assert "timed out after 100 ms" == failed.failed_reason
    assert ended.is_set()


async def test_handler_that_swallows_its_cancellation_loses_its_place(app: App) -> None:
    release = asyncio.Event()

    @app.job(attempts=1, timeout="50ms")
    async def stubborn() -> str:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "too late"

    @app.job
    async def patient() -> str:
        return "my turn"

    async with running(app.worker({"default": 1})):
        job = await stubborn.enqueue()
        after = await patient.enqueue()

        assert "my turn" == await after.result("20s")
        failed = await is_in(app.queue("default"), job, JobState.FAILED)
        release.set()

    assert "did not end when it was cancelled" in str(failed.failed_reason)


async def test_concurrency_of_each_queue_is_kept(app: App) -> None:
    now = {"fast": 0, "slow": 0}
    most = dict(now)
    release = asyncio.Event()

    async def work() -> None:
        queue = current_job().queue
        now[queue] += 1
        most[queue] = max(most[queue], now[queue])
        await release.wait()
        now[queue] -= 1

    app.job("work", queue="fast")(work)
    app.job("work", queue="slow")(work)
    for _ in range(12):
        await app.queue("fast").add("work")
        await app.queue("slow").add("work")

    async with running(app.worker({"fast": 5, "slow": 2})):
        await wait_until(lambda: now == {"fast": 5, "slow": 2}, what="all places to be taken")
        release.set()
        await all_ended(app.queue("fast"))
        await all_ended(app.queue("slow"))

    assert {"fast": 5, "slow": 2} == most


async def test_added_job_wakes_an_idle_worker(app: App, valkey: redis.Redis, prefix: str) -> None:
    @app.job
    async def work() -> None: ...

    async with running(app.worker(name="sleeper")):
        await wait_until(
            lambda: any(
                client["cmd"] == "bzpopmin" and client["name"].startswith(f"{prefix}:")
                for client in valkey.client_list()
            ),
            what="the worker to wait",
        )
        started = time.monotonic()
        await (await work.enqueue()).result()
        delayed = await work.options(delay="200ms").enqueue()
        await delayed.result()

    assert time.monotonic() - started < 3  # the worker's own look comes after five seconds


async def test_paused_queue_waits_and_goes_on_when_it_is_resumed(app: App) -> None:
    @app.job
    async def work() -> str:
        return "fine"

    await app.queue("default").pause()
    async with running(app.worker()):
        job = await work.enqueue()
        await app.queue("default").resume()

        assert "fine" == await job.result("4s")


async def test_worker_shows_itself_where_dashboards_look(
    valkey_url: str, valkey: redis.Redis, prefix: str
) -> None:
    async def handle(job: JobContext) -> None: ...

    worker = Worker("q", handle, redis_url=valkey_url, prefix=prefix, name="two words")
    expected = f"{prefix}:cQ==:w:two-words"

    async with running(worker):
        await wait_until(
            lambda: [c for c in valkey.client_list() if c["name"] == expected],
            what="the worker's connection to have its name",
        )


async def test_secrets_are_redacted_at_any_depth(app: App) -> None:
    @app.job(secrets=frozenset({"token"}))
    async def work(token: str, more: dict[str, Any]) -> None: ...

    job = await work.enqueue("abc", {"token": "x", "list": [{"token": None, "id": 1}]})

    shown = app.redact(job, queue="default")

    assert {
        "token": "[redacted]",
        "more": {"token": "[redacted]", "list": [{"token": None, "id": 1}]},
    } == shown
    assert "abc" not in repr(job)


async def test_mistakes_in_declarations_are_told(app: App) -> None:
    @app.job
    async def work() -> None: ...

    with pytest.raises(ConfigError, match="has a job named 'work' already"):
        app.job("work")(work.function)
    with pytest.raises(ConfigError, match=r"\*args or \*\*kwargs"):
        app.job("stars")(lambda *_: None)
    with pytest.raises(ConfigError, match="no job in this application"):
        app.worker({"emial": 1})
    with pytest.raises(ConfigError, match="must be 1 or more"):
        app.worker({"default": 0})
    with pytest.raises(ConfigError, match="outside a handler"):
        current_job()
