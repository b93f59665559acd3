"""The health report."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import httpx2
import pytest
from tests.unit.http.fakes import FakeSystem

from oxcart import JobCounts
from oxcart.database.errors import DatabaseUnavailable
from oxcart.http.health import HealthProbe
from oxcart.queue_status import LiveWorker, QueueStatus


def status_of(name: str, **facts: Any) -> QueueStatus:
    return QueueStatus(name=name, counts=JobCounts(), **facts)


@dataclass
class QueuesReport:
    is_connected: bool = True
    broker: str = "redis"
    queues: list[QueueStatus] = field(default_factory=list)


@pytest.fixture
def queues(monkeypatch: pytest.MonkeyPatch) -> QueuesReport:
    report = QueuesReport(queues=[status_of("email"), status_of("export")])

    async def get_all_queue_status(app: object) -> QueuesReport:
        return report

    monkeypatch.setattr("oxcart.http.health.get_all_queue_status", get_all_queue_status)
    return report


async def test_everything_well_is_healthy(
    anonymous: httpx2.AsyncClient, queues: QueuesReport
) -> None:
    response = await anonymous.get("/api/health")

    assert response.status_code == 200
    body = response.json()
    assert body.pop("timestamp").endswith("Z")
    checks = {"database": {"status": "healthy"}, "queues": {"status": "healthy"}}
    assert {"status": "healthy", "checks": checks} == body


async def test_redis_down_is_degraded_because_the_api_works_without_it(
    anonymous: httpx2.AsyncClient, queues: QueuesReport
) -> None:
    queues.is_connected = False

    response = await anonymous.get("/api/health")

    assert response.status_code == 200
    assert response.json()["status"] == "degraded"
    check = {"status": "unhealthy", "error": "Redis does not answer"}
    assert check == response.json()["checks"]["queues"]


async def test_what_does_not_answer_is_named_as_it_is(
    anonymous: httpx2.AsyncClient, queues: QueuesReport
) -> None:
    queues.is_connected, queues.broker = False, "sqs"

    response = await anonymous.get("/api/health")

    check = {"status": "unhealthy", "error": "SQS does not answer"}
    assert check == response.json()["checks"]["queues"]


async def test_whatever_is_wrong_with_a_queue_is_degraded_and_shows_no_job_name(
    anonymous: httpx2.AsyncClient, queues: QueuesReport
) -> None:
    worker = LiveWorker(name="w", job_names=("welcome",), is_registered=True)
    queues.queues[:] = [
        status_of("email", is_paused=True, waiting_names={"secret": 1}, workers=(worker,)),
        status_of("export", is_paused=True, oldest_waiting_s=3_600, unlocked_count=1),
        status_of("none", waiting_names={"secret": 2}, workers=()),
    ]

    response = await anonymous.get("/api/health")

    assert (200, "degraded") == (response.status_code, response.json()["status"])
    assert {
        "status": "degraded",
        "error": "paused: email, export; no live worker knows some of the jobs in: email; "
        "jobs have been ready for long in: export; workers died with jobs of: export; "
        "jobs are ready and no worker is connected in: none",
    } == response.json()["checks"]["queues"]


async def test_many_failed_jobs_are_degraded_and_named(
    anonymous: httpx2.AsyncClient, queues: QueuesReport
) -> None:
    queues.queues[1] = status_of("export", failed_lately_count=11)

    response = await anonymous.get("/api/health")

    assert response.status_code == 200
    check = {"status": "degraded", "error": "many failed jobs in: export"}
    assert check == response.json()["checks"]["queues"]


async def test_process_is_alive_whatever_is_down(
    anonymous: httpx2.AsyncClient, queues: QueuesReport, system: FakeSystem
) -> None:
    queues.is_connected = False
    system.database.error = DatabaseUnavailable("it is away")

    response = await anonymous.get("/api/health/live")

    assert (200, {"status": "alive"}) == (response.status_code, response.json())


@pytest.mark.parametrize(
    "error", [DatabaseUnavailable("postgres://u:hunter2@db"), RuntimeError("hunter2")]
)
async def test_database_down_is_unhealthy_and_shows_no_secret(
    anonymous: httpx2.AsyncClient, system: FakeSystem, queues: QueuesReport, error: Exception
) -> None:
    system.database.error = error

    response = await anonymous.get("/api/health")

    assert response.status_code == 503
    assert response.json()["status"] == "unhealthy"
    assert response.json()["checks"]["database"]["status"] == "unhealthy"
    assert "hunter2" not in response.text


async def test_check_that_hangs_is_cut_off(
    system: FakeSystem, queues: QueuesReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang() -> float:
        await asyncio.Event().wait()
        return 0.0

    monkeypatch.setattr(system.database, "ping", hang)
    monkeypatch.setattr("oxcart.http.health.CHECK_SECONDS", 0.01)

    report = await HealthProbe(cast("Any", system)).report()

    assert report.status == "unhealthy"
    assert "no answer" in (report.database.error or "")


async def test_report_is_shared_by_those_who_ask_within_a_second(
    system: FakeSystem, queues: QueuesReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    pings = 0
    now = 0.0

    async def ping() -> float:
        nonlocal pings
        pings += 1
        return 0.0

    monkeypatch.setattr(system.database, "ping", ping)
    probe = HealthProbe(cast("Any", system), lambda: now)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(20):
            tasks.create_task(probe.report())
    assert pings == 1

    now = 1.0
    await probe.report()
    assert pings == 2


async def test_load_balancer_may_ask_by_head(
    anonymous: httpx2.AsyncClient, queues: QueuesReport
) -> None:
    assert (await anonymous.head("/api/health")).status_code == 200
