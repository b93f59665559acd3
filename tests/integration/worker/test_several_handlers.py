"""Workers without an application: one handler, or a handler a job name."""

from __future__ import annotations

import pytest
from tests.integration.engine.running import running

from oxcart import App, JobContext, RateLimit, Worker
from oxcart.errors import ConfigError, JobFailed


async def test_each_name_has_its_handler_and_others_fail(
    valkey_url: str, prefix: str, app: App
) -> None:
    async def greet(job: JobContext) -> object:
        return f"hello {job.data}"

    def part(job: JobContext) -> object:
        return f"bye {job.data}"

    handlers = {"greet": greet, "part": part}
    queue = app.queue("default")
    jobs = [await queue.add(name, "Ada") for name in ("greet", "part", "wave")]
    worker = Worker(
        "default", handlers, redis_url=valkey_url, prefix=prefix, unknown_job_timeout="0s"
    )
    async with running(worker):
        assert ["hello Ada", "bye Ada"] == [await job.result() for job in jobs[:2]]
        with pytest.raises(JobFailed, match=r"'wave' in this worker \(it has: greet, part\)"):
            await jobs[2].result()


async def test_single_handler_runs_every_name(valkey_url: str, prefix: str, app: App) -> None:
    async def handle(job: JobContext) -> object:
        return job.name

    jobs = [await app.queue("default").add(name) for name in ("a", "b")]
    async with running(Worker("default", handle, redis_url=valkey_url, prefix=prefix)):
        assert ["a", "b"] == [await job.result() for job in jobs]


def test_wrong_worker_is_refused_when_it_is_made() -> None:
    async def handle(job: JobContext) -> None: ...

    def make(**options: object) -> Worker:
        return Worker("q", handle, redis_url="redis://127.0.0.1:1/0", **options)  # type: ignore[arg-type]  # wrong on purpose

    with pytest.raises(ConfigError, match="no handlers"):
        Worker("q", {}, redis_url="redis://127.0.0.1:1/0")
    with pytest.raises(ConfigError, match="max_started_attempts is 0"):
        make(max_started_attempts=0)
    with pytest.raises(ConfigError, match="metrics is 0"):
        make(metrics=0)
    assert isinstance(make(limiter=RateLimit(max=1, per="1s"), metrics=60), Worker)
