"""The figures for Prometheus: over HTTP, on a real Valkey and a real database."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis
from prometheus_client import Metric, parser
from prometheus_client.openmetrics import parser as openmetrics
from tests.integration.database.rows import insert_user
from tests.integration.engine.running import until
from tests.integration.http.running import (
    ADA,
    OPERATOR,
    SERVICE_KEY,
    add_users,
    connected,
    make_settings,
    running,
    working,
)
from tests.support import ValkeyServer

from oxcart import App, Fail
from oxcart.errors import JobFailed
from oxcart.http import create_app
from oxcart.http.metrics import MetricsProbe
from oxcart.system import System, open_system

Samples = dict[str, float]
OPENMETRICS: Callable[[str], Any] = openmetrics.text_string_to_metric_families


@asynccontextmanager
async def scraping(system: System) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the served system, with an operator's key."""
    async with (
        running(create_app(system), asyncio.Event()) as url,
        httpx2.AsyncClient(base_url=url, headers=OPERATOR) as client,
    ):
        yield client


async def scrape(system: System) -> Samples:
    """The samples of one scrape over HTTP, by name and labels."""
    async with scraping(system) as client:
        response = await client.get("/metrics")
    assert 200 == response.status_code, response.text
    return samples_of(parser.text_string_to_metric_families(response.text))


def samples_of(families: Any) -> Samples:
    """Samples by name and labels, as ``name{label=value}``."""
    found: Samples = {}
    for family in families:
        assert isinstance(family, Metric)
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


@asynccontextmanager
async def opened(folder: Path, **settings: Any) -> AsyncIterator[System]:
    async with open_system(make_settings(folder, **settings)) as system:
        await add_users(system.database)
        yield system


async def test_jobs_of_every_queue_are_told_by_state(system: System) -> None:
    await system.mailer.send_welcome_email("ada@example.org", "Ada")
    await system.app.queue("email").add("welcome", {}, delay="1h")
    await system.app.queue("export").pause()

    found = await scrape(system)

    assert 1 == found["oxcart_redis_up"]
    assert 1 == found["oxcart_queue_jobs{queue=email,state=prioritized}"]
    assert 1 == found["oxcart_queue_jobs{queue=email,state=delayed}"]
    assert 0 == found["oxcart_queue_jobs{queue=export,state=waiting-children}"]
    assert (0, 1) == tuple(
        found[f"oxcart_queue_paused{{queue={queue}}}"] for queue in ("email", "export")
    )
    assert 0 <= found["oxcart_queue_oldest_waiting_seconds{queue=email}"] < 60
    assert 0 == found["oxcart_queue_oldest_waiting_seconds{queue=export}"]
    assert found["process_resident_memory_bytes"] > 0


async def test_jobs_that_no_worker_knows_are_counted_and_say_why(system: System) -> None:
    queue = system.app.queue("email")
    job = await queue.add("ghost", {})
    async with working(system):

        async def is_counted() -> bool:
            found = await scrape(system)
            return found["oxcart_queue_jobs_unknown{queue=email}"] == 1

        await until(is_counted, what="the job to be counted")
        found = await scrape(system)
        assert 0 == found["oxcart_queue_jobs_unknown{queue=export}"]
    async with connected(system, OPERATOR) as operator:
        shown = (await operator.get(f"/api/queues/status/{job.id}")).json()

    assert "delayed" == shown["state"]
    assert shown["delayReason"].startswith("no handler for job name 'ghost' in this worker")
    assert "failedReason" not in shown


async def test_age_is_that_of_the_oldest_job(
    system: System, valkey: redis.Redis, prefix: str
) -> None:
    job = await system.app.queue("export").add("ANALYTICS", {})
    await system.app.queue("export").add("ANALYTICS", {})
    valkey.hincrby(f"{prefix}:export:{job.id}", "timestamp", -3_600_000)

    found = await scrape(system)

    assert 3_600 <= found["oxcart_queue_oldest_waiting_seconds{queue=export}"] < 3_700


async def test_what_workers_did_is_counted_and_the_workers_are_too(system: System) -> None:
    async with connected(system, OPERATOR | {"x-oxcart-user": ADA}) as ada, working(system):
        created = (await ada.post("/api/exports", json={"type": "USER_DATA"})).json()
        job = await system.app.queue("export").get_job(created["exportJob"]["id"])
        assert job is not None
        await job.result(timeout="60s")
        found = await scrape(system)

    assert 1 == found["oxcart_queue_jobs_completed_total{queue=export}"]
    assert 1 == found["oxcart_queue_jobs{queue=export,state=completed}"]
    assert {"email": 1, "export": 1} == {
        queue: found[f"oxcart_queue_workers{{queue={queue}}}"] for queue in ("email", "export")
    }
    assert 1 == found["oxcart_exports{status=COMPLETED}"]
    assert 0 == found["oxcart_exports{status=FAILED}"]
    assert 1 == found["oxcart_database_up"]


async def test_worker_of_another_application_is_seen_from_here(
    valkey_url: str, prefix: str, tmp_path: Path
) -> None:
    """Its queue is named in the settings; it needs no port of its own."""
    app = App(valkey_url, prefix=prefix)

    @app.job(queue="shop", attempts=1)
    async def pay() -> None:
        raise Fail("the bank is closed")

    connection = {"redis_url": valkey_url, "prefix": prefix}
    async with (
        app,
        opened(tmp_path, **connection, metrics_queues=("shop", "email")) as system,
        asyncio.TaskGroup() as tasks,
    ):
        worker = app.worker(metrics=60)
        tasks.create_task(worker.run())
        with pytest.raises(JobFailed):
            await (await pay.enqueue()).result(timeout="60s")
        found = await scrape(system)
        worker.stop()

    assert 1 == found["oxcart_queue_jobs_failed_total{queue=shop}"]
    assert 1 == found["oxcart_queue_jobs{queue=shop,state=failed}"]
    assert 1 == found["oxcart_queue_workers{queue=shop}"]
    assert "oxcart_queue_jobs_completed_total{queue=shop}" not in found


async def test_openmetrics_is_spoken_with_those_who_ask_for_it(system: System) -> None:
    async with scraping(system) as client:
        plain = await client.get("/metrics")
        asked = await client.get("/metrics", headers={"accept": "application/openmetrics-text"})

    assert plain.headers["content-type"].startswith("text/plain; version=")
    assert asked.headers["content-type"].startswith("application/openmetrics-text; version=")
    found = samples_of(OPENMETRICS(asked.text))
    assert 1 == found["oxcart_redis_up"]


@pytest.mark.parametrize("backlog", [0, 100_000])
async def test_backlog_costs_no_command_more(
    own_valkey: ValkeyServer, tmp_path: Path, backlog: int
) -> None:
    with redis.Redis.from_url(own_valkey.url) as client:
        async with opened(tmp_path, redis_url=own_valkey.url) as system:
            await system.app.queue("email").add("welcome", {})
            fill(client, "export", backlog)
            await scrape(system)  # connections and scripts are there from now on
            client.config_resetstat()
            found = await MetricsProbe(system).write("")
        stats: Any = client.info("commandstats")

    samples = samples_of(parser.text_string_to_metric_families(found[0].decode()))
    assert backlog == samples["oxcart_queue_jobs{queue=export,state=waiting}"]
    calls = {name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items()}
    calls.pop("config|resetstat", None)
    assert 4 == calls["evalsha"]  # the figures and the registered workers of each queue
    assert 2 == calls["client|list"]
    # What the scripts call themselves is counted as well.
    assert sum(calls.values()) <= 60


def fill(client: redis.Redis, queue: str, count: int) -> None:
    """Put waiting jobs into a queue, as many as it takes no time to add one by one."""
    base = f"bull:{queue}:"
    for start in range(0, count, 10_000):
        with client.pipeline(transaction=False) as pipeline:
            ids = [f"j{number}" for number in range(start, start + 10_000)]
            for job_id in ids:
                pipeline.hset(base + job_id, mapping={"name": "n", "timestamp": "1"})
            pipeline.lpush(f"{base}wait", *ids)
            pipeline.execute()


async def test_redis_that_is_down_is_told_and_no_error(
    own_valkey: ValkeyServer, tmp_path: Path
) -> None:
    async with opened(tmp_path, redis_url=own_valkey.url) as system:
        own_valkey.kill()
        found = await scrape(system)

        assert 0 == found["oxcart_redis_up"]
        assert 1 == found["oxcart_database_up"]
        assert 0 == found["oxcart_exports{status=PENDING}"]
        assert not [name for name in found if name.startswith("oxcart_queue_")]

        own_valkey.start()
        assert 1 == (await scrape(system))["oxcart_redis_up"]


async def test_redis_that_never_answers_is_not_waited_for(tmp_path: Path) -> None:
    """A black hole: the connection opens, and nothing comes. Prometheus gives up after 10 s."""
    with socket.create_server(("127.0.0.1", 0)) as hole:
        url = f"redis://127.0.0.1:{hole.getsockname()[1]}/0"
        async with opened(tmp_path, redis_url=url) as system, asyncio.timeout(8):
            found = await scrape(system)

    assert 0 == found["oxcart_redis_up"]
    assert 1 == found["oxcart_database_up"]


def replace_by_folder(file: Path) -> None:
    """Make a file what can be opened no more."""
    for part in file.parent.glob(f"{file.name}*"):
        part.unlink()
    file.mkdir()


async def test_database_that_is_down_is_told_and_no_error(
    valkey_url: str, prefix: str, tmp_path: Path
) -> None:
    async with opened(tmp_path, redis_url=valkey_url, prefix=prefix) as system:
        before = await scrape(system)
        await system.database.aclose()
        replace_by_folder(tmp_path / "club.db")
        found = await scrape(system)

    assert (1, 0) == (before["oxcart_database_up"], found["oxcart_database_up"])
    assert not [name for name in found if name.startswith("oxcart_exports")]
    assert 0 == found["oxcart_queue_jobs{queue=email,state=waiting}"]


async def test_queue_that_holds_something_else_does_not_hide_the_others(
    system: System, valkey: redis.Redis, prefix: str
) -> None:
    valkey.set(f"{prefix}:email:wait", "no list")

    found = await scrape(system)

    assert 1 == found["oxcart_redis_up"]
    assert "oxcart_queue_jobs{queue=email,state=waiting}" not in found
    assert 0 == found["oxcart_queue_jobs{queue=export,state=waiting}"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong-key-0123456789"}, 401),
        ({"authorization": f"Bearer {SERVICE_KEY}"}, 403),
        ({"authorization": f"Bearer {SERVICE_KEY}", "x-oxcart-user": ADA}, 403),
        (OPERATOR, 200),
    ],
)
async def test_figures_are_for_operators(
    system: System, headers: dict[str, str], status: int
) -> None:
    async with (
        running(create_app(system), asyncio.Event()) as url,
        httpx2.AsyncClient(base_url=url, headers=headers) as client,
    ):
        response = await client.get("/metrics")

    assert status == response.status_code
    assert ("oxcart_queue_jobs" in response.text) == (status == 200)


async def test_development_lets_programs_on_this_machine_in(
    valkey_url: str, prefix: str, tmp_path: Path
) -> None:
    async with (
        opened(
            tmp_path,
            env="development",
            database_url=None,
            redis_url=valkey_url,
            prefix=prefix,
        ) as system,
        running(create_app(system), asyncio.Event()) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        await insert_user(
            system.database, user_id="user_admin", email="admin@cofactor.example", role="ADMIN"
        )
        here = await client.get("/metrics")
        passed_on = await client.get("/metrics", headers={"x-forwarded-for": "203.0.113.7"})

    assert (200, 401) == (here.status_code, passed_on.status_code)
