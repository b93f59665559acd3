"""The API of an application's own queues, mounted in an application of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request
from tests.integration.http.following import following
from tests.integration.http.running import ADA, BOB, acting_for, connected, running

from oxcart import App, Job, JobDefinition, current_job
from oxcart.errors import ConfigError
from oxcart.http import queue_api
from oxcart.system import System

SECRET = "a-secret-for-tickets-0123456789-abcdef"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounted:
    """An application, its site and clients of it."""

    app: App
    api: FastAPI
    resize: JobDefinition[[str, str], Any]
    ada: httpx2.AsyncClient
    bob: httpx2.AsyncClient
    staff: httpx2.AsyncClient
    anonymous: httpx2.AsyncClient


async def authorize(request: Request, job: Job[Any] | None) -> str | None:
    """As a site would: staff see all, others their own jobs."""
    user = request.headers.get("x-user")
    owner = job.data.get("owner") if job and isinstance(job.data, dict) else None
    if user is not None and user in ("staff", owner):
        return user
    return None


@pytest.fixture
async def site(valkey_url: str, prefix: str) -> AsyncIterator[Mounted]:
    app = App(valkey_url, prefix=prefix)

    @app.job(queue="pictures", secrets=frozenset({"key"}))
    async def resize(owner: str, key: str) -> str:
        await current_job().progress({"done": 1, "with": key})
        return f"resized with {key}"

    @app.job(queue="sounds")
    async def mix() -> None: ...

    web = FastAPI()
    api = queue_api(app, authorize=authorize, ticket_secrets=[SECRET])
    web.mount("/jobs", api)
    async with app, running(web, asyncio.Event(), before_stop=api.state.live.aclose) as url:

        def client(user: str | None) -> httpx2.AsyncClient:
            headers = {} if user is None else {"x-user": user}
            return httpx2.AsyncClient(base_url=f"{url}/jobs", headers=headers)

        async with (
            client("ada") as ada, client("bob") as bob, client("staff") as staff,
            client(None) as anonymous,
        ):  # fmt: skip
            yield Mounted(
                app=app, api=api, resize=resize, ada=ada, bob=bob, staff=staff, anonymous=anonymous
            )


async def work(app: App, until: Any) -> None:
    """Run a worker meanwhile."""
    worker = app.worker(metrics=60)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker.run())
        await until
        worker.stop()


async def test_own_job_is_followed_by_its_owner_or_with_a_ticket(site: Mounted) -> None:
    job = await site.resize.enqueue("ada", "canary-5ecret")
    path = f"/queues/pictures/jobs/{job.id}"

    ticket = (await site.ada.post(f"{path}/ticket")).json()["ticket"]
    assert ticket["eventsPath"].startswith(f"/jobs{path}/events?ticket=")
    async with (
        following(site.ada, f"{path}/events") as own,
        following(site.anonymous, ticket["eventsPath"].removeprefix("/jobs")) as other,
    ):
        assert (await own.event()).data["state"] == "waiting"
        first = await other.event()
        await work(site.app, own.until("end"))
        received = [first, *await other.until("end")]

    assert ["status", "state", "progress", "state", "end"] == [event.name for event in received]
    assert received[2].data == {"progress": {"done": 1, "with": "[redacted]"}}
    assert received[-1].data["returnvalue"] == "resized with [redacted]"
    shown = (await site.ada.get(path, params={"wait": 5})).json()
    assert ("completed", {"owner": "ada", "key": "[redacted]"}) == (shown["state"], shown["data"])


async def test_own_job_is_hidden_from_others(site: Mounted) -> None:
    job = await site.resize.enqueue("ada", "key")
    other = await site.resize.enqueue("bob", "key")
    path = f"/queues/pictures/jobs/{job.id}"
    token = (await site.ada.post(f"{path}/ticket")).json()["ticket"]["token"]

    for client in (site.bob, site.anonymous):
        for way in ("", "/events", "?wait=5"):
            refused = await client.get(path + way)
            assert (404, "/docs#not-found") == (refused.status_code, refused.json()["type"])
        assert (await client.post(f"{path}/ticket")).status_code == 404
        assert (await client.get("/queues")).status_code == 403
    wrong = await site.anonymous.get(f"/queues/pictures/jobs/{other.id}", params={"ticket": token})
    assert wrong.status_code == 403
    for missing in ("/queues/elsewhere/jobs/1", "/queues/pictures/jobs/none", "/other"):
        assert (await site.staff.get(missing)).status_code == 404
    with pytest.raises(ConfigError, match="shorter than 32"):
        queue_api(site.app, authorize=authorize, ticket_secrets=["short"])


async def test_every_queue_of_the_application_is_shown_to_operators(site: Mounted) -> None:
    queue = site.app.queue("pictures")
    await site.app.queue("sounds").pause()
    job = await site.resize.enqueue("ada", "key")
    await work(site.app, wait_until_completed(job))
    await site.resize.enqueue("ada", "key")

    answer = (await site.staff.get("/queues")).json()

    pictures, sounds = answer["queues"]
    assert ("pictures", 1, 1, False) == (
        pictures["name"], pictures["waitingCount"], pictures["completedCount"],
        pictures["isPaused"],
    )  # fmt: skip
    assert 0 <= pictures["oldestWaitingSeconds"] < 60
    assert pictures["completedLastMinute"] in (0, 1)
    assert ("sounds", True, None) == (
        sounds["name"], sounds["isPaused"], sounds["completedLastMinute"],
    )  # fmt: skip
    assert ["paused"] == [problem["kind"] for problem in sounds["problems"]]
    assert (answer["overallStatus"], answer["isConnected"]) == ("degraded", True)
    assert await queue.is_paused() is False


async def wait_until_completed(job: Job[Any]) -> None:
    await job.result(timeout="20s")


async def test_queues_of_the_built_in_system_are_shown_to_operators_alone(
    system: System, operator: httpx2.AsyncClient, ada: httpx2.AsyncClient
) -> None:
    await system.mailer.send_welcome_email("ada@example.org", "Ada")

    answer = await operator.get("/api/queues")

    assert answer.status_code == 200, answer.text
    assert {"email", "export"} <= {queue["name"] for queue in answer.json()["queues"]}
    assert (await ada.get("/api/queues")).status_code == 403
    for user in (ADA, BOB):
        async with connected(system, acting_for(user)) as client:
            assert (await client.get("/api/queues")).status_code == 403
