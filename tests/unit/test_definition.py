from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest

from oxcart import App, Deduplication, JobOptions, RateLimit
from oxcart.definition import JobChanges
from oxcart.errors import ConfigError


@pytest.fixture
def app() -> App:
    """An application whose server is never asked."""
    return App("redis://127.0.0.1:1/0", prefix="unit")


def test_every_option_of_a_job_can_be_changed_for_one_enqueue() -> None:
    assert {item.name for item in fields(JobOptions)} == set(JobChanges.__annotations__)


def test_options_of_the_declaration_are_those_of_its_jobs(app: App) -> None:
    instant = datetime(2026, 11, 24, tzinfo=UTC)

    @app.job(expires=instant, lifo=True, log_limit=10, stacktrace_limit=0)
    async def work() -> None: ...

    options = work.spec().options

    assert (instant, True, 10, 0) == (
        options.expires, options.lifo, options.log_limit, options.stacktrace_limit,
    )  # fmt: skip


@pytest.mark.parametrize("deduplication", ["image-7", Deduplication(id="image-7")])
def test_deduplication_is_given_for_one_enqueue(app: App, deduplication: Any) -> None:
    @app.job
    async def resize(image_id: int) -> None: ...

    changed = resize.options(deduplication=deduplication, delay="10m")

    assert Deduplication(id="image-7") == changed.spec(7).options.dedup
    assert resize.spec(7).options.dedup is None


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"expires": "10"}, "expires"),
        ({"expires": datetime(2026, 11, 24)}, "expires .* no time zone"),  # noqa: DTZ001
        ({"log_limit": -1}, "log_limit"),
        ({"stacktrace_limit": -1}, "stacktrace_limit"),
    ],
)
def test_wrong_option_is_refused_when_the_job_is_declared(
    app: App, options: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        app.job("work", **options)


def test_option_that_does_not_exist_is_refused(app: App) -> None:
    @app.job
    async def work() -> None: ...

    with pytest.raises(ConfigError, match="there is no job option"):
        work.options(dedupe="image-7")  # type: ignore[call-arg]


def test_worker_of_an_application_has_the_limits_that_it_is_given(app: App) -> None:
    @app.job
    async def work() -> None: ...

    limiter = RateLimit(max=10, per="1s")
    options = app.worker(limiter=limiter, metrics=60, max_started_attempts=5)._options

    assert (limiter, 60, 5) == (options.limiter, options.metrics, options.max_started_attempts)
    with pytest.raises(ConfigError, match="max_started_attempts is 0"):
        app.worker(max_started_attempts=0)
