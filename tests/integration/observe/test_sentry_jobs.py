"""A job that fails for good is reported to Sentry, once and without its payload."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from contextlib import suppress
from typing import Any

import pytest
import redis
import sentry_sdk
from tests.integration.engine.running import all_ended, is_in, running, until
from tests.integration.observe.envelopes import SentryServer
from tests.support import wait_until

from oxcart import App, CallNext, Delay, Fail, JobContext, JobState, Queue, Retry, Worker, fixed
from oxcart.observe.sentry import report_jobs
from oxcart.observe.sentry_jobs import JobReports

AT_ONCE = fixed("1ms")

# Named, so that the source lines that a report quotes do not hold them.
IBAN, TOKEN, PASSWORD = "DE02120300000000202051", "tok-4711-abc", "hunter22"
NOTE = "a note in the payload"


def error_of(event: dict[str, Any]) -> tuple[str, str]:
    """The class of an event's error and what it says."""
    raised = event["exception"]["values"][-1]
    return raised["type"], raised["value"]


def flush() -> None:
    """Send everything that was captured."""
    sentry_sdk.flush(timeout=10)


async def test_job_whose_attempts_are_used_up_is_reported_once_with_what_names_it(
    app: App, sentry: SentryServer
) -> None:
    report_jobs(app)

    @app.job(queue="images", attempts=3, backoff=AT_ONCE)
    async def resize(image_id: int) -> None:
        raise ValueError(f"image {image_id} is broken")

    async with running(app.worker()):
        job = await resize.enqueue(7)
        await is_in(app.queue("images"), job, JobState.FAILED)
        event = await sentry.event()
    flush()

    assert 1 == len(sentry.events)
    assert ("ValueError", "image 7 is broken") == error_of(event)
    assert {"queue": "images", "job_name": "resize", "job_id": job.id, "attempts": "3"} == event[
        "tags"
    ]
    assert event["contexts"]["job"] == {
        "queue": "images", "name": "resize", "id": job.id, "attempts": 3, "max_attempts": 3,
        "reason": "image 7 is broken",
    }  # fmt: skip
    assert ["{{ default }}", "images", "resize"] == event["fingerprint"]
    assert ("test", "shop@1", "error") == (event["environment"], event["release"], event["level"])
    assert "raise ValueError" in str(event["exception"]["values"][-1]["stacktrace"]["frames"])


async def test_attempts_before_are_breadcrumbs_of_the_report(
    app: App, sentry: SentryServer
) -> None:
    report_jobs(app)
    log = logging.getLogger("shop")

    @app.job(attempts=3, backoff=AT_ONCE)
    async def work(secret: str) -> None:
        attempt = app_attempts.pop(0)
        log.warning("looking for %s", attempt)
        raise ValueError(f"error {attempt} with {secret}")

    app_attempts = ["one", "two", "three"]
    async with running(app.worker()):
        await work.enqueue(PASSWORD)
        event = await sentry.event()

    told = [(crumb["category"], crumb["message"]) for crumb in event["breadcrumbs"]["values"]]
    assert told == [
        ("job.retried", "ValueError: error one with [redacted]"),
        ("job.retried", "ValueError: error two with [redacted]"),
        ("shop", "looking for three"),
    ]


async def test_attempts_that_fail_and_jobs_that_steer_themselves_are_no_events(
    app: App, sentry: SentryServer
) -> None:
    report_jobs(app)
    raised: list[Exception] = [ValueError("first"), Retry("second"), Delay("1ms")]

    @app.job(attempts=3, backoff=AT_ONCE)
    async def work() -> str:
        if raised:
            raise raised.pop(0)
        return "done"

    async with running(app.worker()):
        assert "done" == await (await work.enqueue()).result()
    flush()

    assert [] == sentry.events


@pytest.mark.parametrize("how", ["fail", "payload", "time-out", "not JSON"])
async def test_job_that_fails_in_another_way_is_reported_once(
    app: App, sentry: SentryServer, how: str
) -> None:
    report_jobs(app)

    @app.job(attempts=5 if how != "time-out" else 1, timeout="50ms")
    async def work(number: int) -> object:
        if how == "fail":
            raise Fail("no such number")
        if how == "not JSON":
            return object()
        await asyncio.Event().wait()
        return None

    if how == "not JSON":
        work = work.options(attempts=1)
    async with running(app.worker(unknown_job_timeout="0s")):
        if how == "payload":
            await app.queue("default").add("work", {"number": "many"})
        else:
            await work.enqueue(1)
        event = await sentry.event()
        await all_ended(app.queue("default"))
    flush()

    assert 1 == len(sentry.events)
    assert "1" == event["tags"]["attempts"]
    if how == "fail":
        assert ("Fail", "no such number") == error_of(event)
    elif how == "payload":
        assert "PayloadError" == error_of(event)[0]
    elif how == "time-out":
        assert ("TimeoutError", "timed out after 50 ms") == error_of(event)
    else:
        assert "what the handler returned" in event["logentry"]["message"]


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("defa", "job stalled more than allowable limit", "job stalled more than allowable limit"),
        ("data", "{broken", "data"),
        ("name", "nobody", "no handler for job name 'nobody'"),
    ],
)
async def test_job_that_is_refused_is_reported_with_the_reason(
    app: App,
    sentry: SentryServer,
    valkey: redis.Redis,
    prefix: str,
    field: str,
    value: str,
    reason: str,
) -> None:
    report_jobs(app)

    @app.job(attempts=4)
    async def work() -> None: ...

    job = await work.enqueue()
    valkey.hset(f"{prefix}:default:{job.id}", field, value)
    async with running(app.worker(unknown_job_timeout="0s")):
        event = await sentry.event()
    flush()

    assert 1 == len(sentry.events)
    assert reason in event["logentry"]["message"]
    assert "exception" not in event
    assert (job.id, "default", "1") == tuple(
        event["tags"][tag] for tag in ("job_id", "queue", "attempts")
    )


async def test_refusal_is_not_told_as_the_error_of_an_attempt_before(
    app: App, sentry: SentryServer, valkey: redis.Redis, prefix: str
) -> None:
    report_jobs(app)

    @app.job(attempts=4, backoff=fixed("1h"))
    async def work() -> None:
        raise ValueError("the first attempt's")

    async with running(app.worker()):
        job = await work.enqueue()
        await is_in(app.queue("default"), job, JobState.DELAYED)
        valkey.hset(f"{prefix}:default:{job.id}", "defa", "stalled too often")
        await app.queue("default").promote(job.id)
        event = await sentry.event()

    assert "stalled too often" == event["logentry"]["message"]
    assert ["ValueError: the first attempt's"] == [
        crumb["message"] for crumb in event["breadcrumbs"]["values"]
    ]


async def test_error_that_a_middleware_makes_of_another_is_told_with_the_first(
    app: App, sentry: SentryServer
) -> None:
    @app.middleware
    async def translate(job: JobContext, call_next: CallNext) -> object:
        try:
            return await call_next(job)
        except KeyError as error:
            raise Fail("no such article") from error

    report_jobs(app)

    @app.job(attempts=3)
    async def sell() -> None:
        raise KeyError("horse")

    async with running(app.worker()):
        await sell.enqueue()
        event = await sentry.event()

    assert "KeyError" == error_of(event)[0]
    assert "no such article" == event["contexts"]["job"]["reason"]


async def test_nothing_of_the_payload_is_sent(app: App, sentry: SentryServer) -> None:
    report_jobs(app)

    @app.job(attempts=1, secrets=frozenset({"iban"}))
    async def pay(iban: str, token: str, note: str) -> None:
        local = {"iban": iban, "note": note}
        url = f"https://user:{PASSWORD}@bank.example/pay?token={token}"
        logging.getLogger("shop").info("paying from %s to %s", iban, url, extra={"token": token})
        sentry_sdk.set_context("order", {"iban": iban})
        try:
            {"": 0}[iban]
        except KeyError as error:
            raise RuntimeError(f"{url} refused {iban}") from error
        finally:
            del local

    async with running(app.worker()):
        await pay.enqueue(IBAN, TOKEN, NOTE)
        await sentry.event()
    flush()

    assert "refused [redacted]" in sentry.everything
    for secret in (IBAN, TOKEN, NOTE, PASSWORD):
        assert secret not in sentry.everything


async def test_scopes_of_jobs_that_run_together_are_their_own(
    app: App, sentry: SentryServer
) -> None:
    report_jobs(app)
    sentry_sdk.get_isolation_scope().set_tag("region", "eu")
    both = asyncio.Barrier(2)

    @app.job
    async def work(name: str) -> None:
        sentry_sdk.set_tag(f"tag-{name}", name)
        sentry_sdk.add_breadcrumb(message=name)
        await both.wait()
        sentry_sdk.capture_message(f"from {name}")
        raise Fail(name)

    async with running(app.worker()):
        jobs = {name: (await work.enqueue(name)).id for name in ("ann", "bob")}
        await wait_until(lambda: len(sentry.events) == 4, what="four events")

    for event in sentry.events:
        own = {name for name in jobs if f"tag-{name}" in event["tags"]}
        (name,) = own
        assert jobs[name] == event["tags"]["job_id"]
        assert "eu" == event["tags"]["region"]
        assert name in [crumb.get("message") for crumb in event["breadcrumbs"]["values"]]
    sentry_sdk.get_isolation_scope().remove_tag("region")


async def test_what_a_handler_in_a_thread_captures_says_which_job_it_is(
    app: App, sentry: SentryServer
) -> None:
    report_jobs(app)

    @app.job
    def work(password: str) -> None:
        try:
            int(password)
        except ValueError as error:
            sentry_sdk.capture_exception(error)

    async with running(app.worker()):
        job = await work.enqueue(PASSWORD)
        await job.result()
        event = await sentry.event()

    assert (job.id, "default") == (event["tags"]["job_id"], event["tags"]["queue"])
    assert "'[redacted]'" in error_of(event)[1]
    assert PASSWORD not in sentry.everything


async def test_errors_of_hooks_and_of_the_worker_are_reported_too(
    app: App, sentry: SentryServer
) -> None:
    report_jobs(app)

    @app.after
    async def broken(job: JobContext, result: object) -> None:
        raise RuntimeError("the hook broke")

    @app.job
    async def work() -> None: ...

    async with running(app.worker()):
        job = await work.enqueue()
        event = await sentry.event()

    assert ("RuntimeError", "the hook broke") == error_of(event)
    assert "job.after_hook_failed" == event["logentry"]["message"]
    assert job.id == event["tags"]["job_id"]


async def test_worker_without_an_application_reports_by_both_parts(
    valkey_url: str, prefix: str, sentry: SentryServer
) -> None:
    reports = JobReports(secrets=frozenset({"iban"}))

    async def pay(job: JobContext) -> None:
        assert isinstance(job.data, dict)
        raise Fail(f"no account {job.data['iban']}")

    worker = Worker(
        "bills",
        pay,
        redis_url=valkey_url,
        prefix=prefix,
        middlewares=[reports.middleware],
        on_failure=reports.on_failure,
    )
    async with Queue("bills", redis_url=valkey_url, prefix=prefix) as queue, running(worker):
        job = await queue.add("pay", {"iban": IBAN})
        event = await sentry.event()

    assert ("Fail", "no account [redacted]") == error_of(event)
    assert ("bills", "pay", job.id) == tuple(
        event["tags"][tag] for tag in ("queue", "job_name", "job_id")
    )


async def test_reports_are_declared_once_however_often_they_are_asked_for(
    app: App, sentry: SentryServer
) -> None:
    report_jobs(app)
    report_jobs(app)

    @app.job
    async def work() -> None:
        raise Fail("once")

    async with running(app.worker()):
        await work.enqueue()
        await sentry.event()
        await all_ended(app.queue("default"))
    flush()

    assert 1 == len(sentry.events)


async def test_error_of_the_worker_is_told_and_not_one_that_a_middleware_swallowed(
    app: App, sentry: SentryServer
) -> None:
    @app.middleware
    async def swallow(job: JobContext, call_next: CallNext) -> object:
        try:
            return await call_next(job)
        except KeyError:
            return object()  # no JSON

    report_jobs(app)

    @app.job(attempts=1)
    async def sell() -> None:
        raise KeyError("horse")

    async with running(app.worker()):
        await sell.enqueue()
        event = await sentry.event()

    assert "KeyError" not in str(event["exception"])
    assert "what the handler returned" in error_of(event)[1]


async def test_job_whose_handler_does_not_end_is_reported_with_what_names_it(
    app: App, sentry: SentryServer
) -> None:
    report_jobs(app)
    may_end = asyncio.Event()

    @app.job(attempts=1, timeout="10ms")
    async def stubborn() -> None:
        while not may_end.is_set():
            with suppress(asyncio.CancelledError):
                await may_end.wait()

    async with running(app.worker()):
        job = await stubborn.enqueue()
        try:
            # The worker reports besides that the handler ignores it.
            await wait_until(lambda: len(sentry.events) == 2, what="two events")
        finally:
            may_end.set()

    (event,) = [item for item in sentry.events if item["logger"] == "oxcart.jobs"]
    assert "TimeoutError" == error_of(event)[0]
    assert {"queue": "default", "job_name": "stubborn", "job_id": job.id, "attempts": "1"} == (
        event["tags"]
    )


async def test_more_jobs_than_any_memory_holds_are_reported_each_with_its_own_error(
    app: App, sentry: SentryServer
) -> None:
    """They fail for good together, long after the first of them raised."""
    report_jobs(app)
    count = 600
    all_run = asyncio.Barrier(count)

    @app.job(attempts=1)
    async def work(number: int) -> None:
        try:
            raise ValueError(f"number {number}")
        finally:
            await all_run.wait()

    async with running(app.worker({"default": count})):
        jobs = await app.queue("default").add_many([work.spec(number) for number in range(count)])
        # The SDK drops some of so many at once.
        await wait_until(lambda: len(sentry.events) >= 50, what="reports")

    number_of = {job.id: number for number, job in enumerate(jobs)}
    for event in sentry.events:
        number = number_of[event["tags"]["job_id"]]
        assert ("ValueError", f"number {number}") == error_of(event)


async def test_what_attempts_raised_is_not_kept(
    app: App, sentry: SentryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    report_jobs(app)
    # pytest's own handlers keep each record, and with it the error.
    monkeypatch.setattr(logging.getLogger("oxcart"), "propagate", False)
    raised: list[weakref.ref[BaseException]] = []

    class Later(Exception):  # a class of its own, as built-in ones take no reference
        pass

    @app.job(attempts=2, backoff=fixed("1h"))
    async def work() -> None:
        error = Later()
        raised.append(weakref.ref(error))
        raise error

    async with running(app.worker()):
        await app.queue("default").add_many([work.spec() for _ in range(20)])
        await all_started(app)

        def are_gone() -> bool:
            gc.collect()
            return all(reference() is None for reference in raised)

        await wait_until(are_gone, what="the errors to be gone")

    assert 20 == len(raised)


async def all_started(app: App) -> None:
    """Wait until every job waits for its second attempt."""

    async def has_come() -> bool:
        return (await app.queue("default").get_counts()).delayed == 20

    await until(has_come, what="20 jobs to wait")
