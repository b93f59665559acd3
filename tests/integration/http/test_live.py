"""Server-sent events, long polls and tickets, over real connections to the real system."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis
from fastapi import FastAPI
from tests.integration.http.following import following
from tests.integration.http.running import (
    ADA,
    BOB,
    OPERATOR,
    acting_for,
    add_users,
    make_settings,
    running,
    working,
)
from tests.support import ValkeyServer, wait_until

from oxcart import Queue
from oxcart.http import create_app
from oxcart.http.live.following import Intervals
from oxcart.http.live.limits import WaitingClients
from oxcart.http.live.tickets import TicketSigner
from oxcart.http.problems import MEDIA_TYPE, ProblemError
from oxcart.system import System, open_system

EXPORT = "export"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Two API processes' applications on one system, and clients of the first."""

    system: System
    app: FastAPI
    url: str
    other_url: str
    ada: httpx2.AsyncClient
    bob: httpx2.AsyncClient
    operator: httpx2.AsyncClient
    anonymous: httpx2.AsyncClient

    @property
    def queue(self) -> Queue:
        """The queue of the exports."""
        return self.system.app.queue(EXPORT)

    async def ask(self) -> dict[str, Any]:
        """Let Ada ask for an export; returns the answer."""
        response = await self.ada.post("/api/exports", json={"type": "USER_DATA"})
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def intervals(self, **changes: float) -> None:
        """Change how long things take in streams."""
        self.app.state.live.intervals = Intervals(**changes)


@asynccontextmanager
async def serving(system: System) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        app = create_app(system)
        stop = asyncio.Event()
        url = await stack.enter_async_context(running(app, stop))
        other = await stack.enter_async_context(running(create_app(system), stop))

        async def client(headers: dict[str, str] | None = None) -> httpx2.AsyncClient:
            return await stack.enter_async_context(
                httpx2.AsyncClient(base_url=url, headers=headers or {}, timeout=30)
            )

        yield Site(
            system=system,
            app=app,
            url=url,
            other_url=other,
            ada=await client(acting_for(ADA)),
            bob=await client(acting_for(BOB)),
            operator=await client(OPERATOR),
            anonymous=await client(),
        )


@pytest.fixture
async def site(system: System) -> AsyncIterator[Site]:
    async with serving(system) as site:
        yield site


async def test_job_is_followed_from_its_present_state_to_its_end(site: Site) -> None:
    job_id = (await site.ask())["exportJob"]["id"]

    async with following(site.ada, f"/api/queues/status/{job_id}/events") as stream:
        first = await stream.event()
        async with working(site.system):
            rest = await stream.until("end")
        assert [] == await stream.rest()

    assert "text/event-stream" in stream.response.headers["content-type"]
    assert ("status", "2000") == (first.name, first.retry)
    assert first.data["state"] == "waiting"
    states = [event.data["state"] for event in rest if event.name == "state"]
    assert ["active", "completed"] == states
    assert "progress" in {event.name for event in rest}
    end = rest[-1].data
    assert (await site.ada.get(f"/api/queues/status/{job_id}")).json() == end
    assert end["state"] == "completed"
    ids = [event.id for event in (first, *rest[:-1]) if event.id]
    assert sorted(ids, key=lambda text: [int(part) for part in text.split("-")]) == ids


async def test_client_that_connects_again_gets_what_it_missed_from_any_process(
    site: Site,
) -> None:
    job_id = (await site.ask())["exportJob"]["id"]
    path = f"/api/queues/status/{job_id}/events"
    async with following(site.ada, path) as stream:
        first = await stream.event()
    async with working(site.system):
        await site.ada.get(f"/api/queues/status/{job_id}", params={"wait": 20})
        done = await site.ada.get(
            f"/api/queues/status/{job_id}", params={"wait": 20, "state": "active"}
        )
    assert done.json()["state"] == "completed"

    async with (
        httpx2.AsyncClient(base_url=site.other_url, headers=acting_for(ADA)) as other,
        following(other, path, after=first.id) as again,
    ):
        received = await again.rest()

    names = [event.name for event in received]
    assert names[0] == "state"
    assert names[-3:] == ["state", "status", "end"]
    assert received[-1].id is not None
    seen_all = await site.ada.get(path, headers={"last-event-id": received[-1].id})
    assert seen_all.status_code == 204


@pytest.mark.parametrize("seen", ["1-0", "nonsense", "9" * 40 + "-0", ""])
async def test_id_that_is_no_longer_kept_leads_to_the_present_state(site: Site, seen: str) -> None:
    job_id = (await site.ask())["exportJob"]["id"]
    await site.queue.trim_events(0)

    async with following(site.ada, f"/api/queues/status/{job_id}/events", after=seen) as stream:
        assert (await stream.event()).name == "status"


async def test_export_is_followed_until_its_file_is_there(site: Site) -> None:
    export_id = (await site.ask())["exportJob"]["id"]

    async with following(site.ada, f"/api/exports/{export_id}/events") as stream:
        first = await stream.event()
        async with working(site.system):
            rest = await stream.until("end")

    assert ("status", "PENDING") == (first.name, first.data["status"])
    assert {"status", "progress", "end"} >= {event.name for event in rest}
    assert rest[-1].data["status"] == "COMPLETED"
    assert (await site.anonymous.get(rest[-1].data["fileUrl"].removeprefix(
        site.system.settings.base_url))).status_code == 200  # fmt: skip


async def test_long_poll_answers_at_once_when_there_is_news_and_waits_when_there_is_none(
    site: Site,
) -> None:
    export_id = (await site.ask())["exportJob"]["id"]
    job, export = f"/api/queues/status/{export_id}", f"/api/exports/{export_id}"

    started = time.monotonic()
    assert (await site.ada.get(job, params={"wait": 20, "state": "active"})).json()["state"] == (
        "waiting"
    )
    pending = await site.ada.get(export, params={"wait": 20, "status": "COMPLETED"})
    assert pending.json()["export"]["status"] == "PENDING"
    assert time.monotonic() - started < 10

    async with asyncio.TaskGroup() as tasks:
        waiting = [
            tasks.create_task(site.ada.get(path, params={"wait": 30, name: known}))
            for path, name, known in ((job, "state", "waiting"), (export, "status", "PENDING"))
        ]
        await wait_until(lambda: site.app.state.live.clients.count == 2, what="both to wait")
        async with working(site.system):
            await asyncio.wait(waiting)
    assert waiting[0].result().json()["state"] in ("active", "completed")
    assert waiting[1].result().json()["export"]["status"] in ("PROCESSING", "COMPLETED")

    done = await site.ada.get(export, params={"wait": 20, "status": "COMPLETED"})
    assert done.json()["export"]["status"] == "COMPLETED"
    assert 0 == site.app.state.live.clients.count


async def test_long_poll_ends_after_its_time_and_when_the_client_leaves(site: Site) -> None:
    job_id = (await site.ask())["exportJob"]["id"]
    path = f"/api/queues/status/{job_id}"

    response = await site.ada.get(path, params={"wait": 1})
    assert (200, "waiting") == (response.status_code, response.json()["state"])
    async with site.ada.stream("GET", f"{path}/events"):
        await wait_until(lambda: site.app.state.live.clients.count == 1, what="the stream")
    await wait_until(lambda: site.app.state.live.clients.count == 0, what="the stream's end")
    async with asyncio.TaskGroup() as tasks:
        poll = tasks.create_task(site.ada.get(path, params={"wait": 60}))
        await wait_until(lambda: site.app.state.live.clients.count == 1, what="the poll")
        poll.cancel()
    await wait_until(lambda: site.app.state.live.clients.count == 0, what="the poll's end")


async def test_streams_are_refused_to_others_and_for_jobs_that_are_not_there(site: Site) -> None:
    export_id = (await site.ask())["exportJob"]["id"]
    mail = await site.system.app.queue("email").add("welcome", {"userId": ADA})

    for path in (f"/api/queues/status/{export_id}", f"/api/exports/{export_id}"):
        for way in ("/events", "/ticket", "?wait=5"):
            send = "POST" if way == "/ticket" else "GET"
            assert (await site.bob.request(send, path + way)).status_code == 404
            assert (await site.anonymous.request(send, path + way)).status_code == 401
    assert (await site.ada.get(f"/api/queues/status/{mail.id}/events")).status_code == 404
    assert (await site.operator.get("/api/queues/status/none/events")).status_code == 404
    assert (await site.operator.get("/api/exports/none/events")).status_code == 404


async def test_ticket_permits_to_follow_its_own_job_and_nothing_else(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    asked = await site.ask()
    ticket, job_id = asked["ticket"], asked["exportJob"]["id"]
    other_id = (await site.ask())["exportJob"]["id"]
    token = ticket["token"]

    async with following(site.anonymous, ticket["eventsPath"]) as stream:
        assert (await stream.event()).data["status"] == "PENDING"
    status = await site.anonymous.get(ticket["statusPath"])
    assert status.json()["export"]["id"] == job_id
    for path in (f"/api/queues/status/{job_id}", f"/api/queues/status/{job_id}?wait=1"):
        response = await site.anonymous.get(httpx2.URL(path).copy_merge_params({"ticket": token}))
        assert response.json()["id"] == job_id

    for path in (
        f"/api/exports/{other_id}", f"/api/exports/{other_id}/events",
        f"/api/queues/status/{other_id}", f"/api/queues/status/{other_id}/events",
    ):  # fmt: skip
        response = await site.anonymous.get(path, params={"ticket": token})
        assert (403, "/docs#forbidden") == (response.status_code, response.json()["type"])
    for method, path in (
        ("GET", "/api/exports"), ("POST", "/api/exports"), ("GET", f"/api/exports/{job_id}/file"),
        ("POST", f"/api/exports/{job_id}/ticket"), ("GET", "/metrics"),
    ):  # fmt: skip
        response = await site.anonymous.request(method, path, params={"ticket": token})
        assert response.status_code in (400, 401), path
    logged = [str(vars(record)) for record in caplog.records]
    assert any("'caller': 'ticket'" in line for line in logged)
    ours = [line for line in logged if "'name': 'httpx2'" not in line and "httpcore" not in line]
    assert [line for line in ours if token in line] == []


async def test_ticket_of_any_other_making_is_refused(site: Site) -> None:
    asked = await site.ask()
    token, job_id = asked["ticket"]["token"], asked["exportJob"]["id"]
    version, payload, signature = token.split(".")
    flipped = ("B" if payload[8] == "A" else "A").join([payload[:8], payload[9:]])
    path = f"/api/exports/{job_id}"

    for wrong in (
        f"{version}.{flipped}.{signature}", f"{version}.{payload}.{signature[::-1]}",
        f"{version}.{payload}", payload, "", "t1..", "\u00e9.\u00e9.\u00e9", f"x{token}",
    ):  # fmt: skip
        response = await site.anonymous.get(path, params={"ticket": wrong})
        assert (401, "/docs#ticket-invalid") == (response.status_code, response.json()["type"])
    doubled = await site.anonymous.get(f"{path}?ticket={token}&ticket={token}")
    assert doubled.status_code == 401


async def test_ticket_shows_the_end_of_an_export_and_no_link_to_its_file(site: Site) -> None:
    asked = await site.ask()
    ticket, job_id = asked["ticket"], asked["exportJob"]["id"]
    as_job = {"ticket": ticket["token"]}

    async with following(site.anonymous, ticket["eventsPath"]) as stream, working(site.system):
        end = (await stream.until("end"))[-1]
    status = await site.anonymous.get(ticket["statusPath"])
    job = await site.anonymous.get(f"/api/queues/status/{job_id}", params=as_job)
    own = await site.ada.get(f"/api/queues/status/{job_id}")

    assert ("COMPLETED", None) == (end.data["status"], end.data["fileUrl"])
    assert end.data == status.json()["export"]
    assert ("completed", False) == (job.json()["state"], "returnvalue" in job.json())
    assert own.json()["returnvalue"]


def test_ticket_expires_and_outlives_a_replaced_secret() -> None:
    now = 1_000.0
    minute = timedelta(minutes=1)
    old = TicketSigner([b"old"], lifetime=minute, now=lambda: now)
    both = TicketSigner([b"new", b"old"], lifetime=minute, now=lambda: now)
    token, ticket = old.issue(queue="export", job_id="7", user_id=None)

    assert ticket == both.read(token)
    with pytest.raises(ProblemError, match="not made here"):
        old.read(both.issue(queue="export", job_id="7", user_id=None)[0])
    now = 1_060.0
    with pytest.raises(ProblemError, match="expired"):
        both.read(token)


async def test_operators_ticket_of_an_email_job_shows_no_secret(site: Site) -> None:
    data: Any = {"toEmail": "ada@example.org", "metadata": {"resetCode": "canary-5ecret"}}
    job = await site.system.app.queue("email").add("password_reset", data)
    await job.update_progress({"step": "code canary-5ecret made"})

    answer = await site.operator.post(f"/api/queues/status/{job.id}/ticket")
    events_path = answer.json()["ticket"]["eventsPath"]
    async with following(site.anonymous, events_path) as stream:
        first = await stream.event()
        await job.update_progress({"step": "code canary-5ecret sent"})
        second = await stream.event()

    assert first.data["data"]["metadata"] == {"resetCode": "[redacted]"}
    assert ("progress", {"step": "code [redacted] sent"}) == (second.name, second.data["progress"])


async def test_one_caller_and_one_process_hold_a_limited_number_of_streams(site: Site) -> None:
    job_id = (await site.ask())["exportJob"]["id"]
    path = f"/api/queues/status/{job_id}/events"
    site.app.state.live.clients = WaitingClients(most=3, most_of_one=2)

    async with AsyncExitStack() as stack:
        clients = (site.ada, site.ada, site.operator)
        streams = [await stack.enter_async_context(following(each, path)) for each in clients]
        for stream in streams:
            await stream.event()
        refused = await site.ada.get(f"/api/exports/{job_id}", params={"wait": 5})
        full = await site.operator.get(path)

    assert (429, "/docs#too-many-streams") == (refused.status_code, refused.json()["type"])
    assert (503, "/docs#streams-full") == (full.status_code, full.json()["type"])
    for response in (refused, full):
        assert response.headers["retry-after"] == "5"
        assert response.headers["content-type"] == MEDIA_TYPE


async def test_streams_of_a_queue_share_one_connection_and_a_quiet_one_sends_heartbeats(
    site: Site, valkey: redis.Redis
) -> None:
    site.intervals(heartbeat=0.05)
    job_id = (await site.ask())["exportJob"]["id"]

    async with AsyncExitStack() as stack:
        path = f"/api/queues/status/{job_id}/events"
        streams = [await stack.enter_async_context(following(site.ada, path)) for _ in range(10)]
        for stream in streams:
            await stream.event()
            assert (await stream.next()).comment == "heartbeat"
        reading = [client for client in valkey.client_list() if client["cmd"] == "xread"]
        assert 1 == len(reading)


async def test_stream_ends_after_its_longest_time_for_the_browser_to_connect_again(
    site: Site,
) -> None:
    site.intervals(longest=0.1)
    job_id = (await site.ask())["exportJob"]["id"]

    async with following(site.ada, f"/api/queues/status/{job_id}/events") as stream:
        received = await stream.rest()

    assert received[0].name == "status"
    assert "connect again" in (received[-1].comment or "")


async def test_job_that_is_removed_ends_its_streams(site: Site) -> None:
    job_id = (await site.ask())["exportJob"]["id"]

    async with following(site.ada, f"/api/queues/status/{job_id}/events") as stream:
        await stream.event()
        await site.queue.remove(job_id)
        received = await stream.rest()

    assert ("end", "removed") == (received[-1].name, received[-1].data["state"])


async def test_client_that_does_not_read_is_dropped_with_a_last_event(site: Site) -> None:
    answer = await site.ask()
    job_id, path = answer["exportJob"]["id"], answer["ticket"]["eventsPath"]
    job = await site.queue.get_job(job_id)
    assert job is not None
    host, port = site.url.removeprefix("http://").split(":")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.connect((host, int(port)))
    reader, writer = await asyncio.open_connection(sock=client, limit=2**12)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    await reader.readuntil(b"event: status")
    (hub,) = site.app.state.live.feeds.hubs

    for number in range(120):  # more than the sockets' and the server's buffers take
        await job.update_progress({"number": number, "text": "x" * 200_000})
    (subscription,) = hub._by_job[job_id.encode()]
    await wait_until(lambda: subscription._last is not None, what="the client to be dropped")
    received = await reader.read(-1)
    writer.close()

    last = received.split(b"\n\n")[-2]
    assert b"event: dropped" in last
    assert b"reads too slowly" in last


async def test_stopping_the_server_ends_streams_and_long_polls_at_once(system: System) -> None:
    async with serving(system) as site:
        job_id = (await site.ask())["exportJob"]["id"]
        async with asyncio.TaskGroup() as tasks:
            async with following(site.ada, f"/api/queues/status/{job_id}/events") as stream:
                await stream.event()
                poll = tasks.create_task(
                    site.ada.get(f"/api/exports/{job_id}", params={"wait": 60})
                )
                (hub,) = site.app.state.live.feeds.hubs
                await wait_until(lambda: hub.subscriber_count == 2, what="both")
                started = time.monotonic()
                await site.app.state.live.aclose()
                received = await stream.rest()
                refused = await site.ada.get(f"/api/queues/status/{job_id}/events")
            response = await poll

    assert time.monotonic() - started < 5
    assert "stopping" in (received[-1].comment or "")
    assert response.json()["export"]["status"] == "PENDING"
    assert (503, "/docs#stopping") == (refused.status_code, refused.json()["type"])


async def test_redis_away_is_announced_and_the_stream_goes_on(
    own_valkey: ValkeyServer, prefix: str, tmp_path: Path
) -> None:
    settings = make_settings(tmp_path, redis_url=own_valkey.url, prefix=prefix)
    async with open_system(settings) as system:
        await add_users(system.database)
        async with serving(system) as site:
            job_id = (await site.ask())["exportJob"]["id"]
            path = f"/api/queues/status/{job_id}/events"
            async with following(site.ada, path) as stream:
                await stream.event()
                await asyncio.to_thread(own_valkey.kill)
                assert "does not answer" in ((await stream.next()).comment or "")
                assert (await site.ada.get(path)).status_code == 503
                export = await site.ada.get(f"/api/exports/{job_id}", params={"wait": 1})
                assert export.json()["export"]["status"] == "PENDING"
                await asyncio.to_thread(own_valkey.start)
                async with working(system):
                    received = await stream.until("end")
            assert received[-1].data["state"] == "completed"
