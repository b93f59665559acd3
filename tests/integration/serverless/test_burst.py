"""A burst runs what waits and ends: by the command, by the library, and over HTTP."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import redis
from tests.integration.cli.programs import environment, run, running
from tests.integration.http.running import (
    ADA,
    OPERATOR,
    acting_for,
    add_users,
    connected,
    make_settings,
)
from tests.support import wait_until, wait_until_sync
from typer.testing import CliRunner

from oxcart import App, RateLimit
from oxcart.burst import Burst, BurstEnd, BurstLimits, BurstReport
from oxcart.cli.main import cli
from oxcart.database.types import ExportStatus
from oxcart.errors import ConfigError, StoreUnavailable
from oxcart.exports.records import ExportRecords
from oxcart.sync import Queue
from oxcart.system import System, open_system

SHOP = """
import time
import oxcart

app = oxcart.App(prefix={prefix!r})


@app.job(queue="sums")
def add(left: int, right: int) -> int:
    return left + right


@app.job(queue="naps")
def sleep(seconds: float) -> None:
    time.sleep(seconds)
"""


@pytest.fixture
async def app(valkey_url: str, prefix: str) -> AsyncIterator[App]:
    async with App(valkey_url, prefix=prefix) as made:
        yield made


async def burst_of(app: App, limits: BurstLimits | None = None, places: int = 3) -> BurstReport:
    burst = Burst(app, ["work"], limits)
    return await burst.run(app.worker({"work": places}, grace="10s", middlewares=[burst.around]))


async def test_burst_runs_what_waits_and_what_it_adds_and_ends(app: App) -> None:
    ran: list[int] = []

    @app.job(queue="work", attempts=2, backoff=None)
    async def work(n: int) -> None:
        ran.append(n)
        if n == 3:
            await work.enqueue(n=30)
        if n == 4 and ran.count(4) == 1:
            raise OSError("once")

    for n in range(8):
        await work.options(priority=n % 2).enqueue(n=n)
    await work.options(delay="1h").enqueue(n=99)
    await work.options(delay="1ms").enqueue(n=50)

    report = await burst_of(app)

    assert [*range(8), 30, 50] == sorted(set(ran))
    assert (11, 10, 1, 0, BurstEnd.EMPTY) == (
        report.started_count,
        report.completed_count,
        report.failed_count,
        report.put_back_count,
        report.ended,
    )
    assert 1 == (await app.queue("work").get_counts()).delayed


async def test_burst_with_nothing_to_do_ends(app: App) -> None:
    @app.job(queue="work")
    async def work() -> None: ...

    report = await burst_of(app)

    assert (0, BurstEnd.EMPTY) == (report.started_count, report.ended)


async def test_no_more_jobs_are_run_than_allowed_and_no_attempt_is_lost(app: App) -> None:
    ran: list[int] = []

    @app.job(queue="work")
    async def work(n: int) -> None:
        ran.append(n)
        await asyncio.sleep(0)

    for n in range(20):
        await work.enqueue(n=n)

    report = await burst_of(app, BurstLimits(max_jobs=7), places=5)

    counts = await app.queue("work").get_counts()
    waiting = await app.queue("work").get_jobs("waiting")  # type: ignore[arg-type]  # its value
    assert (7, 7, BurstEnd.MAX_JOBS) == (len(ran), report.completed_count, report.ended)
    assert (13, 0) == (counts.waiting, counts.active)
    assert {0} == {job.attempts_made for job in waiting}


async def test_burst_starts_nothing_when_its_time_is_over(app: App) -> None:
    begun = asyncio.Event()

    @app.job(queue="work")
    async def work() -> None:
        begun.set()
        await asyncio.sleep(0.3)

    for _ in range(200):
        await work.enqueue()

    report = await burst_of(app, BurstLimits(max_seconds=1), places=2)

    counts = await app.queue("work").get_counts()
    assert begun.is_set()
    assert BurstEnd.MAX_SECONDS is report.ended
    assert 200 == counts.waiting + counts.completed
    assert report.completed_count == counts.completed > 0


async def test_paused_queue_does_not_keep_a_burst(app: App) -> None:
    @app.job(queue="work")
    async def work() -> None: ...

    await work.enqueue()
    await app.queue("work").pause()

    report = await burst_of(app)

    assert (0, BurstEnd.EMPTY) == (report.started_count, report.ended)


async def test_limited_queue_does_not_keep_a_burst_for_ever(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oxcart.burst.HELD_BACK_S", 0.5)

    @app.job(queue="work")
    async def work() -> None: ...

    for _ in range(2):
        await work.enqueue()
    burst = Burst(app, ["work"])
    worker = app.worker({"work": 2}, limiter=RateLimit(max=1, per="1h"), middlewares=[burst.around])

    report = await burst.run(worker)

    assert (1, BurstEnd.HELD_BACK) == (report.completed_count, report.ended)
    assert 1 == (await app.queue("work").get_counts()).waiting


async def test_worker_that_is_stopped_ends_its_burst(app: App) -> None:
    begun = asyncio.Event()

    @app.job(queue="work")
    async def work() -> None:
        begun.set()
        await asyncio.sleep(0.2)

    for _ in range(100):
        await work.enqueue()
    burst = Burst(app, ["work"])
    worker = app.worker({"work": 1}, middlewares=[burst.around])

    async with asyncio.TaskGroup() as group:
        running = group.create_task(burst.run(worker))
        await begun.wait()
        worker.stop()

    assert BurstEnd.STOPPED is running.result().ended


async def test_burst_without_a_server_fails() -> None:
    app = App("redis://127.0.0.1:1/0")

    @app.job(queue="work")
    async def work() -> None: ...

    with pytest.raises(StoreUnavailable):
        await burst_of(app)
    await app.aclose()


@pytest.mark.parametrize("limits", [{"max_jobs": 0}, {"max_seconds": -1.0}])
def test_limits_are_above_zero(limits: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="must be above 0"):
        BurstLimits(**limits)  # type: ignore[arg-type]  # as parametrised


def test_command_drains_an_application_and_ends(
    tmp_path: Path, valkey_url: str, prefix: str
) -> None:
    (tmp_path / "shop.py").write_text(SHOP.format(prefix=prefix))
    env = environment(tmp_path, REDIS_URL=valkey_url, PYTHONPATH=str(tmp_path))
    queue = Queue("sums", redis_url=valkey_url, prefix=prefix)
    for n in range(5):
        queue.add("add", {"left": n, "right": 1})

    some = run("worker", "shop:app", "--burst", "--max-jobs", "2", env=env)
    rest = run("worker", "shop:app", "--burst", "-q", "sums:2", env=env)

    counts = queue.get_counts()
    queue.close()
    assert (0, 0) == (some.returncode, rest.returncode), some.stderr + rest.stderr
    assert some.stdout.startswith("2 jobs: 2 completed, ")
    assert some.stdout.endswith("ended: max_jobs\n")
    assert "3 completed, 0 failed attempts, 0 put back; ended: empty" in rest.stdout
    assert (0, 5) == (counts.waiting, counts.completed)


def test_command_counts_what_was_not_run_and_exits_1(
    tmp_path: Path, valkey_url: str, prefix: str, valkey: redis.Redis
) -> None:
    """Unknown names, payloads that do not fit, what cannot be read, what expired or stalled."""
    (tmp_path / "shop.py").write_text(SHOP.format(prefix=prefix))
    env = environment(tmp_path, REDIS_URL=valkey_url, PYTHONPATH=str(tmp_path))
    with Queue("sums", redis_url=valkey_url, prefix=prefix) as queue:
        for n in range(4):
            queue.add("add", {"left": n, "right": 1})
            queue.add("subtract", {"left": n})
        queue.add("add", {"left": "much", "right": 1}, job_id="misfit")
        queue.add("add", {"left": 1, "right": 1}, job_id="unreadable")
        queue.add("add", {"left": 1, "right": 1}, job_id="gone")
        queue.add("add", {"left": 1, "right": 1}, job_id="stalled-out")
        queue.add("add", {"left": 1, "right": 1}, job_id="expired", expires="1ms")
        valkey.hset(f"{prefix}:sums:unreadable", "data", "{")
        valkey.hset(f"{prefix}:sums:stalled-out", "defa", "job stalled more than allowable limit")
        valkey.delete(f"{prefix}:sums:gone")

        done = run("worker", "shop:app", "--burst", "-q", "sums", env=env)
        counts = queue.get_counts()

    first, *reasons = done.stdout.splitlines()
    assert 1 == done.returncode, done.stderr
    assert first == ("4 jobs: 4 completed, 0 failed attempts, 0 put back, 9 not run; ended: empty")
    assert reasons[0].startswith("  4 not run: no handler for job name 'subtract'")
    assert 6 == len(reasons)
    assert 4 == counts.completed


def test_command_stops_on_sigterm_and_keeps_the_rest(
    tmp_path: Path, valkey_url: str, prefix: str, valkey: redis.Redis
) -> None:
    (tmp_path / "shop.py").write_text(SHOP.format(prefix=prefix))
    env = environment(tmp_path, REDIS_URL=valkey_url, PYTHONPATH=str(tmp_path))
    queue = Queue("naps", redis_url=valkey_url, prefix=prefix)
    for _ in range(30):
        queue.add("sleep", {"seconds": 0.2})

    with running("worker", "shop:app", "--burst", "-q", "naps:1", env=env, folder=tmp_path) as it:
        wait_until_sync(
            lambda: valkey.llen(f"{prefix}:naps:active"), within=30, what="a job to run"
        )
        it.send_signal(signal.SIGTERM)
        code = it.wait(30)

    counts = queue.get_counts()
    queue.close()
    output = (tmp_path / "output.log").read_text()
    assert 0 == code
    assert "ended: stopped" in output
    assert (30, 0) == (counts.waiting + counts.completed, counts.active)


def test_limits_need_a_burst() -> None:
    done = CliRunner().invoke(cli, ["worker", "--max-jobs", "2"])

    assert 2 == done.exit_code
    assert "add --burst" in done.output


def test_command_drains_the_built_in_system(tmp_path: Path, valkey_url: str, prefix: str) -> None:
    env = environment(tmp_path, REDIS_URL=valkey_url, OXCART_PREFIX=prefix)
    queue = Queue("email", redis_url=valkey_url, prefix=prefix)
    queue.add("welcome", {"type": "welcome", "toEmail": "ada@example.org", "name": "Ada"})

    done = run("worker", "--burst", "--max-seconds", "30", env=env)

    queue.close()
    assert 0 == done.returncode, done.stderr
    assert "1 completed" in done.stdout
    assert 1 == len([*(tmp_path / "data" / "mailbox").rglob("*.eml")])


@pytest.fixture
async def system(valkey_url: str, prefix: str, tmp_path: Path) -> AsyncIterator[System]:
    settings = make_settings(tmp_path, redis_url=valkey_url, prefix=prefix)
    async with open_system(settings) as made:
        await add_users(made.database)
        yield made


async def test_call_runs_exports_and_mails(system: System, tmp_path: Path) -> None:
    async with connected(system, acting_for(ADA)) as ada:
        asked = (await ada.post("/api/exports", json={"type": "ANALYTICS"})).json()["exportJob"]
    await system.mailer.send_welcome_email("ada@example.org", "Ada")

    async with connected(system, OPERATOR) as operator:
        answer = await operator.post("/api/worker/burst", params={"maxSeconds": 30})
        again = await operator.get("/api/worker/burst")

    record = await ExportRecords(system.database).get(asked["id"])
    assert (200, "no-store") == (answer.status_code, answer.headers["cache-control"])
    seconds = answer.json().pop("seconds")
    assert answer.json() == {
        "success": True, "started": 2, "completed": 2, "failed": 0, "putBack": 0,
        "notRun": 0, "ended": "empty", "seconds": seconds,
    }  # fmt: skip
    assert (0, "empty") == (again.json()["started"], again.json()["ended"])
    assert record is not None
    assert ExportStatus.COMPLETED is record.status
    assert 1 == len([*(tmp_path / "mailbox").rglob("*.eml")])


async def test_only_operators_may_call(system: System) -> None:
    async with connected(system) as nobody, connected(system, acting_for(ADA)) as service:
        answers = [
            await client.request(method, "/api/worker/burst")
            for client in (nobody, service)
            for method in ("POST", "GET")
        ]

    assert [401, 401, 403, 403] == [answer.status_code for answer in answers]


async def test_one_burst_at_a_time(system: System) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    @system.app.job("slow", queue="email")
    async def slow() -> None:
        begun.set()
        await may_end.wait()

    await slow.enqueue()
    async with connected(system, OPERATOR) as operator, asyncio.TaskGroup() as group:
        first = group.create_task(operator.post("/api/worker/burst"))
        async with asyncio.timeout(20):
            await begun.wait()
        second = await operator.post("/api/worker/burst")
        may_end.set()

    assert (200, 1) == (first.result().status_code, first.result().json()["completed"])
    assert (409, "5") == (second.status_code, second.headers["retry-after"])
    assert "already" in second.json()["error"]


async def test_call_ends_about_when_it_was_told_to(system: System) -> None:
    cancelled = asyncio.Event()

    @system.app.job("endless", queue="email")
    async def endless() -> None:
        try:
            await asyncio.sleep(600)
        finally:
            cancelled.set()

    await endless.enqueue()
    async with connected(system, OPERATOR) as operator:
        answer = await operator.post("/api/worker/burst", params={"maxSeconds": 2})

    counts = await system.app.queue("email").get_counts()
    assert (1, 0, 1, "max_seconds") == tuple(
        answer.json()[name] for name in ("started", "completed", "putBack", "ended")
    )
    assert cancelled.is_set()
    assert (1, 0) == (counts.waiting + counts.prioritized, counts.active)


async def test_limit_of_jobs_is_kept_over_http(system: System) -> None:
    for _ in range(3):
        await system.mailer.send_welcome_email("ada@example.org", "Ada")

    async with connected(system, OPERATOR) as operator:
        answer = await operator.post("/api/worker/burst", params={"maxJobs": 2})

    assert (2, "max_jobs") == (answer.json()["completed"], answer.json()["ended"])


@pytest.mark.parametrize("query", ["maxSeconds=0", "maxSeconds=801", "maxJobs=0", "other=1"])
async def test_wrong_limits_are_refused(system: System, query: str) -> None:
    async with connected(system, OPERATOR) as operator:
        answer = await operator.post(f"/api/worker/burst?{query}")

    assert httpx2.codes.BAD_REQUEST == answer.status_code


async def test_worker_in_the_same_process_keeps_bursts_out(system: System) -> None:
    worker = system.worker()
    async with connected(system, OPERATOR) as operator, asyncio.TaskGroup() as group:
        group.create_task(system.run_worker(worker))
        await wait_until(lambda: system.email_jobs.transport, within=20, what="the worker to run")
        answer = await operator.post("/api/worker/burst")
        worker.stop()

    assert httpx2.codes.CONFLICT == answer.status_code
