"""What follows a failed attempt: rules by the class of the error, strategies by name."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis
from tests.integration.engine.running import is_in, running

from oxcart import App, JobContext, JobState, Queue, Retry, Worker, exponential, fixed
from oxcart.errors import ConfigError

HOUR_MS = 3_600_000


class Refused(ConnectionError): ...


class HttpError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


def by_status(attempt: int, error: HttpError) -> bool | str:
    return f"{attempt}h" if error.status == 503 else error.status != 404


@pytest.mark.parametrize(
    ("error", "delay_ms"),
    [
        (ConnectionError(), 2 * HOUR_MS),
        (Refused(), 3 * HOUR_MS),
        (OSError(), 5 * HOUR_MS),
        (HttpError(503), HOUR_MS),
        (HttpError(500), 7 * HOUR_MS),
        (ExceptionGroup("many", [Refused()]), 3 * HOUR_MS),
        (ExceptionGroup("many", [Refused(), OSError()]), 7 * HOUR_MS),
        (ValueError(), 7 * HOUR_MS),
        (KeyError(), 7 * HOUR_MS),
        (Retry("by the handler"), 7 * HOUR_MS),
        (Retry("by the handler", after="9h"), 9 * HOUR_MS),
    ],
    ids=repr,
)
async def test_rule_of_the_most_specific_class_tells_the_wait(
    app: App, error: Exception, delay_ms: int
) -> None:
    @app.job(
        attempts=5,
        backoff=fixed("7h"),
        retry={
            OSError: fixed("5h"),
            Refused: "3h",
            ConnectionError: exponential("2h"),
            HttpError: by_status,
            ValueError: True,
            LookupError: None,
        },
    )
    async def work() -> None:
        raise error

    job = await work.enqueue()
    async with running(app.worker()):
        delayed = await is_in(app.queue("default"), job, JobState.DELAYED)

    assert delay_ms == delayed.delay_ms


@pytest.mark.parametrize("error", [ValueError("hopeless"), HttpError(404)], ids=repr)
async def test_rule_of_false_fails_the_job_for_good(app: App, error: Exception) -> None:
    @app.job(attempts=5, retry={ValueError: False, HttpError: by_status})
    async def work() -> None:
        raise error

    job = await work.enqueue()
    async with running(app.worker()):
        failed = await is_in(app.queue("default"), job, JobState.FAILED)

    assert (1, str(error)) == (failed.attempts_made, failed.failed_reason)


async def test_rule_gives_no_attempt_beyond_the_limit_and_is_not_asked_then(app: App) -> None:
    asked: list[int] = []

    def again(attempt: int, error: Exception) -> str:
        asked.append(attempt)
        return "1ms"

    @app.job(attempts=3, retry={Exception: again})
    async def work() -> None:
        raise ValueError("no")

    job = await work.enqueue()
    async with running(app.worker()):
        failed = await is_in(app.queue("default"), job, JobState.FAILED)

    assert 3 == failed.attempts_made
    assert [1, 2] == asked


async def test_time_out_of_a_job_is_a_timeout_error_to_the_rules(app: App) -> None:
    @app.job(attempts=3, timeout="50ms", retry={TimeoutError: "2h"})
    async def hang() -> None:
        await asyncio.Event().wait()

    job = await hang.enqueue()
    async with running(app.worker()):
        delayed = await is_in(app.queue("default"), job, JobState.DELAYED)

    assert (2 * HOUR_MS, "timed out after 50 ms") == (delayed.delay_ms, delayed.failed_reason)


@pytest.mark.parametrize("answer", ["soon", 5, RuntimeError("the rule breaks")], ids=repr)
async def test_rule_that_breaks_leaves_the_wait_to_the_jobs_backoff(
    app: App, caplog: pytest.LogCaptureFixture, answer: Any
) -> None:
    def broken(attempt: int, error: Exception) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    @app.job(attempts=3, backoff=fixed("7h"), retry={ValueError: broken})
    async def work() -> None:
        raise ValueError("no")

    job = await work.enqueue()
    async with running(app.worker()):
        delayed = await is_in(app.queue("default"), job, JobState.DELAYED)

    assert (7 * HOUR_MS, "no") == (delayed.delay_ms, delayed.failed_reason)
    assert "job.retry_rule_broke error=ValueError" in caplog.text


async def test_backoff_may_be_a_function_that_stays_with_the_handler(app: App) -> None:
    def growing(attempt: int, error: BaseException) -> str | bool:
        return f"{attempt + 1}h" if isinstance(error, OSError) else False

    @app.job(attempts=5, backoff=growing)
    async def work(hopeless: bool) -> None:
        raise ValueError if hopeless else OSError

    own = await work.options(backoff=fixed("9h")).enqueue(hopeless=False)
    usual, hopeless = await work.enqueue(hopeless=False), await work.enqueue(hopeless=True)
    async with running(app.worker()):
        queue = app.queue("default")
        delays = [(await is_in(queue, job, JobState.DELAYED)).delay_ms for job in (own, usual)]
        await is_in(queue, hopeless, JobState.FAILED)

    assert [9 * HOUR_MS, 2 * HOUR_MS] == delays
    assert (await usual.refresh()).options.backoff is None


async def add_as_node_does(
    queue: Queue, valkey: redis.Redis, prefix: str, backoff: str, name: str = "work"
) -> Any:
    """Add a job whose backoff has a type that only a strategy of its worker knows."""
    job = await queue.add(name, {}, delay="1h")
    opts = f'{{"attempts": 5, "backoff": {backoff}}}'
    valkey.hset(f"{prefix}:{queue.name}:{job.id}", "opts", opts)
    await queue.promote(job.id)
    return job


async def test_job_whose_backoff_names_a_strategy_waits_as_that_says(
    valkey_url: str, valkey: redis.Redis, prefix: str
) -> None:
    asked: list[tuple[int, str]] = []

    def custom(attempt: int, error: BaseException) -> str:
        asked.append((attempt, str(error)))
        return "2h"

    async with App(
        valkey_url, prefix=prefix, backoff_strategies={"custom": custom, "never": lambda *_: False}
    ) as app:

        @app.job
        async def work() -> None:
            raise ValueError("no")

        queue = app.queue("default")
        jobs = [
            await add_as_node_does(queue, valkey, prefix, f'{{"type": "{name}"}}')
            for name in ("custom", "never")
        ]
        async with running(app.worker()):
            delayed = await is_in(queue, jobs[0], JobState.DELAYED)
            await is_in(queue, jobs[1], JobState.FAILED)

    assert 2 * HOUR_MS == delayed.delay_ms
    assert [(1, "no")] == asked


async def test_plain_worker_has_strategies_too(
    valkey_url: str, valkey: redis.Redis, prefix: str
) -> None:
    async def fail(job: JobContext) -> None:
        raise ValueError("no")

    worker = Worker(
        "default",
        fail,
        redis_url=valkey_url,
        prefix=prefix,
        backoff_strategies={"custom": lambda attempt, error: fixed("3h")},
    )
    async with Queue("default", redis_url=valkey_url, prefix=prefix) as queue:
        job = await add_as_node_does(queue, valkey, prefix, '{"type": "custom", "delay": 5}')
        async with running(worker):
            delayed = await is_in(queue, job, JobState.DELAYED)

    assert 3 * HOUR_MS == delayed.delay_ms


async def test_job_whose_backoff_nobody_knows_is_retried_later_with_one_warning(
    app: App, valkey: redis.Redis, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    @app.job
    async def work() -> None:
        raise ValueError("no")

    queue = app.queue("default")
    backoff = f'{{"type": "custom", "delay": {HOUR_MS}}}'
    jobs = [await add_as_node_does(queue, valkey, prefix, backoff) for _ in range(3)]
    async with running(app.worker()):
        delays = [(await is_in(queue, job, JobState.DELAYED)).delay_ms for job in jobs]

    assert [HOUR_MS] * 3 == delays
    assert 1 == caplog.text.count("job.unknown_backoff type=custom")


@pytest.mark.parametrize(
    ("retry", "named"),
    [
        ({"ValueError": False}, "rule for 'ValueError'"),
        ({int: False}, "rule for <class 'int'>"),
        ({ValueError: "soon"}, "retry of ValueError is 'soon'"),
        ({ValueError: 5}, "retry of ValueError is 5"),
    ],
)
def test_wrong_rule_is_refused_when_the_job_is_declared(app: App, retry: Any, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        app.job("work", retry=retry)


@pytest.mark.parametrize(
    ("strategies", "named"),
    [({"fixed": by_status}, "'fixed' is built in"), ({"custom": "2s"}, "'custom' is '2s'")],
)
def test_wrong_strategy_is_refused_when_it_is_given(strategies: Any, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        App("redis://127.0.0.1:1/0", backoff_strategies=strategies)
    with pytest.raises(ConfigError, match=named):
        Worker("q", print, redis_url="redis://127.0.0.1:1/0", backoff_strategies=strategies)
