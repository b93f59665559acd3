"""Declared jobs that a scheduler makes again and again."""

from __future__ import annotations

from typing import Any

import pytest
from tests.integration.engine.running import running
from tests.support import wait_until

from oxcart import App, JobState, Schedule, exponential
from oxcart.errors import ConfigError, PayloadError


async def test_scheduler_makes_the_declared_job_with_its_arguments_again_and_again(
    app: App,
) -> None:
    seen: list[tuple[str, int]] = []

    @app.job(queue="reports")
    async def report(name: str, days: int = 7) -> list[Any]:
        seen.append((name, days))
        return [name, days]

    async with running(app.worker()):
        job = await report.schedule("often", Schedule.every("50ms"), "sales")
        assert ["sales", 7] == await job.result()
        await wait_until(lambda: len(seen) >= 3, what="the third job of the scheduler")

    assert {("sales", 7)} == set(seen)


async def test_jobs_of_a_scheduler_have_the_options_of_the_declaration(app: App) -> None:
    @app.job(attempts=7, backoff=exponential("2s"), priority=3)
    async def work() -> None: ...

    first = await work.schedule("daily", Schedule.cron("0 9 * * *"))
    changed = await work.options(attempts=2).schedule("daily", Schedule.cron("0 9 * * *"))

    assert JobState.DELAYED == await changed.state()
    options = (await changed.refresh()).options
    assert (7, 2, 3, exponential("2s")) == (
        first.options.attempts, options.attempts, options.priority, options.backoff,
    )  # fmt: skip
    assert 1 == await app.queue("default").count_schedulers()


async def test_arguments_that_do_not_fit_make_no_scheduler(app: App) -> None:
    @app.job(expires="1h")
    async def work(number: int) -> None: ...

    with pytest.raises(PayloadError, match="work"):
        await work.schedule("daily", Schedule.every("1d"), "seven")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="expires"):
        await work.schedule("daily", Schedule.every("1d"), 7)

    assert 0 == await app.queue("default").count_schedulers()
    await work.options(expires=None).schedule("daily", Schedule.every("1d"), 7)
