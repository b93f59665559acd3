"""The executor by itself: what it makes of a run, on jobs as they stand in Redis."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from oxcart import App, JobContext, fixed
from oxcart._engine.executor import Executor
from oxcart._engine.handler import Handler, Handlers
from oxcart._engine.hold import Hold
from oxcart._engine.running_job import CancelReason, RunningJob
from oxcart._model.options import JobOptions
from oxcart._model.outcome import (
    Completed,
    Delayed,
    Failed,
    GivenBack,
    Outcome,
    RateLimited,
    Retried,
    WaitingForChildren,
)
from oxcart._store.calls.stepping import TakenJob
from oxcart._wire.codec import encode_json
from oxcart._wire.codes import Code
from oxcart._wire.keys import QueueKeys
from oxcart._wire.options_codec import encode_options
from oxcart.errors import LockLost, WaitForChildren
from oxcart.errors import RateLimited as RateLimitedError


class Bench:
    """An executor with one handler, and the job that it runs."""

    def __init__(
        self, app: App, error: BaseException | None = None, *, attempts: int = 3, made: int = 0
    ) -> None:
        self.entered = asyncio.Event()
        self.release = asyncio.Event()
        self.error = error
        options = JobOptions(attempts=attempts, backoff=fixed("2s"))
        taken = TakenJob(
            "7",
            "token",
            {
                b"name": b"work",
                b"data": encode_json({}, what="data"),
                b"opts": encode_options(options, prefix="p"),
                b"atm": str(made).encode(),
                b"ats": str(made + 1).encode(),
            },
        )
        hold = Hold("default", "7", "token", time.monotonic() + 60, lambda _: None)
        self.running = RunningJob(taken, hold)
        self.executor = Executor(
            Handlers({"work": Handler(invoke=self.handle)}),
            app.queue("default")._store,
            QueueKeys("p", "default"),
        )

    async def handle(self, job: JobContext) -> object:
        self.entered.set()
        if self.error is None:
            await self.release.wait()
            return "done"
        raise self.error

    async def outcome(self) -> Outcome:
        self.release.set()
        return (await self.executor.run(self.running)).outcome

    async def cancelled(self, reason: CancelReason, text: str | None = None) -> Outcome:
        async with asyncio.TaskGroup() as group:
            self.running.task = group.create_task(self.executor.run(self.running))
            await self.entered.wait()
            self.running.cancel(reason, text)
        return self.running.task.result().outcome


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (WaitForChildren(), WaitingForChildren()),
        (RateLimitedError("10s"), RateLimited(10_000)),
        (ExceptionGroup("of one", [RateLimitedError("1s")]), RateLimited(1_000)),
    ],
    ids=repr,
)
async def test_what_a_handler_raises_steers_its_job(
    app: App, error: BaseException, expected: Outcome
) -> None:
    assert expected == await Bench(app, error).outcome()


async def test_wish_that_cannot_be_read_is_a_failed_attempt(app: App) -> None:
    outcome = await Bench(app, RateLimitedError("a while")).outcome()

    assert isinstance(outcome, Retried)
    assert outcome.reason.startswith("RateLimited is 'a while'")


@pytest.mark.parametrize("text", [None, "the user closed the page"])
async def test_job_that_somebody_cancels_fails_for_good_with_their_words(
    app: App, text: str | None
) -> None:
    outcome = await Bench(app).cancelled(CancelReason.CANCELLED, text)

    assert isinstance(outcome, Failed)
    assert (text or "cancelled") == outcome.reason


async def test_job_is_cancelled_once_for_the_first_reason(app: App) -> None:
    bench = Bench(app)
    async with asyncio.TaskGroup() as group:
        bench.running.task = group.create_task(bench.executor.run(bench.running))
        await bench.entered.wait()
        bench.running.cancel(CancelReason.STOPPING)
        bench.running.cancel(CancelReason.CANCELLED, "too late")

    assert GivenBack() == bench.running.task.result().outcome


async def test_completion_refused_for_pending_children_is_a_failed_attempt(app: App) -> None:
    bench = Bench(app)
    assert isinstance(await bench.outcome(), Completed)

    again = bench.executor.reconsider(bench.running, Code.PENDING_CHILDREN)

    assert isinstance(again.outcome, Retried)
    assert 2_000 == again.outcome.delay_ms
    assert "has children that are not settled" in again.outcome.reason


async def test_completion_refused_at_the_last_attempt_fails_the_job(app: App) -> None:
    bench = Bench(app, attempts=2, made=1)
    await bench.outcome()

    again = bench.executor.reconsider(bench.running, Code.PENDING_CHILDREN)

    assert isinstance(again.outcome, Failed)


async def test_completion_refused_for_failed_children_fails_for_good(app: App) -> None:
    bench = Bench(app)
    await bench.outcome()

    again = bench.executor.reconsider(bench.running, Code.FAILED_CHILDREN)

    assert isinstance(again.outcome, Failed)
    assert "children that failed" in again.outcome.reason


async def test_job_with_nothing_to_wait_for_is_given_back(app: App) -> None:
    bench = Bench(app, WaitForChildren())
    await bench.outcome()

    again = bench.executor.reconsider(bench.running, 1)

    assert (GivenBack(), "7", "token") == (again.outcome, again.job_id, again.token)


async def test_handler_that_waits_for_no_children_again_and_again_is_held_back(app: App) -> None:
    bench = Bench(app, WaitForChildren())
    await bench.outcome()
    assert bench.running.record is not None
    bench.running.record = replace(bench.running.record, attempts_started=100)

    again = bench.executor.reconsider(bench.running, 1)

    assert again.outcome == Delayed(1_000)


async def test_answer_that_leaves_nothing_to_decide_is_raised(app: App) -> None:
    bench = Bench(app)
    await bench.outcome()

    with pytest.raises(LockLost):
        bench.executor.reconsider(bench.running, Code.LOCK_MISSING)


def test_cancelling_a_job_that_has_not_begun_does_nothing() -> None:
    hold = Hold("default", "7", "token", time.monotonic() + 60, lambda _: None)
    running = RunningJob(TakenJob("7", "token", {}), hold)

    running.cancel(CancelReason.CANCELLED, "why")

    assert (None, None) == (running.cancelled_for, running.cancel_reason_text)
