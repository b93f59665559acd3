"""The user with the least rights that the documentation describes: enough, and nothing more."""

from __future__ import annotations

import asyncio
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.integration.engine.running import QUICK, is_in, running
from tests.integration.http.running import (
    ADA,
    OPERATOR,
    acting_for,
    add_users,
    connected,
    make_settings,
    until_finished,
    working,
)
from tests.integration.servers.kinds import KINDS, Servers
from tests.support import SentinelTrio, ValkeyCluster, ValkeyServer

from oxcart import (
    App,
    Deduplication,
    FlowNode,
    JobContext,
    JobState,
    QueueEvents,
    RateLimit,
    Schedule,
    Worker,
    fixed,
)
from oxcart.errors import StoreUnavailable
from oxcart.mail import payloads
from oxcart.system import open_system

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/how-to/redis-servers.md").read_text(encoding="utf-8")
SOURCES = ROOT / "src/oxcart"
PASSWORD = "secret-of-the-test"
EMBEDDED_ONLY = {"saving.py", "probe.py"}
"""Talk to the private Valkey alone, as its default user."""
ERRORS = {"readonly"}
"""Looks like a command, and is the beginning of an error."""


def documented() -> list[str]:
    """The rules of the page, word by word, without the user's name and password."""
    (command,) = re.findall(r"redis-cli ACL SETUSER oxcart (on .*?)\n```", PAGE, re.DOTALL)
    return [word for word in shlex.split(command.replace("\\\n", " ")) if word[0] != ">"]


def rules(prefix: str, kind: str) -> list[str]:
    """The page's rules for a prefix on a kind of server."""
    found = [word.replace("~bull:", f"~{prefix}:") for word in documented()]
    if kind != "redis":  # Debian's is 7.0
        found += in_addition("Redis 7.2 or newer, and Valkey")
    if kind == "cluster":
        found += in_addition("a cluster: the user on every node")
    return found


def in_addition(server: str) -> list[str]:
    """The further rules of the page for a kind of server."""
    (found,) = re.findall(rf"^\| {re.escape(server)} \| `([^`]*)`", PAGE, re.MULTILINE)
    return shlex.split(found.replace("\\|", "|"))


def sentinel_rules() -> list[str]:
    (found,) = re.findall(r"a user of theirs with `([^`]*)`", PAGE)
    return shlex.split(found.replace("\\|", "|"))


@dataclass(frozen=True, kw_only=True)
class Restricted:
    """A server's URL with the user, and the servers that have the user."""

    url: str
    user: str
    prefix: str
    nodes: tuple[ValkeyServer, ...]

    def denied(self) -> list[str]:
        """What the user was refused."""
        found = []
        for node in self.nodes:
            for row in node.command("ACL", "LOG"):
                entry = dict(zip(row[::2], row[1::2], strict=True))
                if entry[b"username"] in (self.user.encode(), b"watcher"):
                    found.append(f"{entry[b'reason'].decode()} {entry[b'object'].decode()}")
        return found


def restrict(server: Any, kind: str, prefix: str, *more: str) -> Restricted:
    """Make the user on all of a server's nodes."""
    user = f"user-{prefix.strip('{}')}"
    query = ""
    match server:
        case ValkeyCluster():
            nodes = tuple(server.nodes)
        case SentinelTrio():
            nodes = (server.master, server.replica, server.sentinel)
            server.sentinel.command(
                "ACL", "SETUSER", "watcher", "on", f">{PASSWORD}", *sentinel_rules()
            )
            query = f"?sentinel_username=watcher&sentinel_password={PASSWORD}"
        case _:
            nodes = (server,)
    for node in nodes[:2] if kind == "sentinel" else nodes:
        node.command("ACL", "SETUSER", user, f">{PASSWORD}", *rules(prefix, kind), *more)
    parts = urlsplit(server.url)
    url = f"{parts.scheme}://{user}:{PASSWORD}@{parts.netloc}{parts.path}{query}"
    return Restricted(url=url, user=user, prefix=prefix, nodes=nodes)


@pytest.fixture(params=sorted(KINDS))
def restricted(request: pytest.FixtureRequest, servers: Servers, prefix: str) -> Restricted:
    """Each kind of server in turn, used by the page's user."""
    kind = request.param
    return restrict(servers.get(kind), kind, f"{{{prefix}}}" if kind == "cluster" else prefix)


async def test_user_may_do_all_that_oxcart_does(restricted: Restricted, tmp_path: Path) -> None:
    async with asyncio.timeout(60):
        await use_the_system(restricted, tmp_path)
        async with App(restricted.url, prefix=restricted.prefix) as app:
            await use_workers(restricted, app)
            await use_every_operation(app)
            await asyncio.to_thread(use_blocking_code, app)

    assert restricted.denied() == []


async def use_the_system(restricted: Restricted, folder: Path) -> None:
    """API, worker, e-mail, export, status, health and metrics."""
    settings = make_settings(folder, redis_url=restricted.url, prefix=restricted.prefix)
    async with open_system(settings) as system, connected(system, OPERATOR) as http:
        await add_users(system.database)
        async with working(system):
            delivery = await system.mailer.send(payloads.welcome("ada@example.com", "Ada"))
            wanted = await http.post(
                "/api/exports", json={"type": "USER_DATA"}, headers=acting_for(ADA)
            )
            job = await until_finished(http, wanted.json()["exportJob"]["id"])
            answers = [
                await http.get(path)
                for path in ("/api/health", "/metrics", f"/api/queues/status/{job['id']}")
            ]
    assert delivery.queued
    assert "completed" == job["state"], job
    assert [200, 200, 200] == [answer.status_code for answer in answers]
    assert "healthy" == answers[0].json()["status"]


async def use_workers(restricted: Restricted, app: App) -> None:
    """Retries, flows, schedules, events, limits, cancelling and recovery."""
    queue = app.queue("work")

    async def handle(job: JobContext) -> object:
        await job.progress(50)
        await job.log("half way")
        if job.name == "fail":
            raise RuntimeError("no")
        return job.data

    worker = Worker(
        "work", handle, redis_url=restricted.url, prefix=restricted.prefix, metrics=60,
        limiter=RateLimit(max=1_000, per="1s"), **QUICK,
    )  # fmt: skip
    events = QueueEvents("work", redis_url=restricted.url, prefix=restricted.prefix)
    await events.open()
    await queue.set_concurrency(20)
    await queue.set_rate_limit(RateLimit(max=1_000, per="1s"))
    child = FlowNode(name="child", queue="work")
    async with running(worker):
        root = await app.add_flow(FlowNode(name="root", queue="work", children=(child, child)))
        await root.job.result("10s")
        await (await queue.add("later", delay="50ms", priority=2)).result("10s")
        failing = await queue.add("fail", attempts=2, backoff=fixed("10ms"))
        await is_in(queue, failing, JobState.FAILED)
        await queue.upsert_scheduler("tick", Schedule.every("20ms"), "tick")
        async for event in events:
            if event.name == "completed":
                break
        await queue.get_workers()
        await queue.get_registered_workers()
        await queue.remove_scheduler("tick")
    await queue.remove_rate_limit()
    await queue.set_concurrency(None)


async def use_every_operation(app: App) -> None:
    """What a caller or an operator does with a queue that no worker serves."""
    queue = app.queue("held")
    job = await queue.add("n", delay="1h", deduplication=Deduplication(id="d", ttl="1h"))
    await queue.get_deduplication_job_id("d")
    await queue.remove_deduplication_key("d")
    await queue.change_delay(job.id, "2h")
    await queue.update_data(job.id, {"a": 1})
    await queue.add_log(job.id, "line")
    await queue.get_logs(job.id)
    await queue.clear_logs(job.id)
    await queue.promote(job.id)
    await queue.change_priority(job.id, priority=3)
    await queue.pause()
    await queue.resume()
    await queue.get_counts()
    await queue.get_counts_per_priority([0, 3])
    await queue.get_figures()
    await queue.find_anomalies()
    await queue.get_metrics(JobState.COMPLETED)
    await queue.get_schedulers()
    await queue.get_meta()
    await queue.get_dependencies(job.id)
    await queue.get_dependencies_count(job.id)
    await queue.rate_limit("1ms")
    await queue.get_rate_limit_ttl()
    await queue.trim_events(10)
    for state in JobState:
        if state is not JobState.UNKNOWN:
            await queue.get_jobs(state)
    await queue.retry_all()
    await queue.promote_all()
    await queue.clean("0s", state=JobState.COMPLETED)
    await queue.cancel((await queue.add("n")).id)
    await queue.remove((await queue.add("n")).id)
    await queue.remove_stray_jobs()
    await queue.drain()
    await queue.obliterate(force=True)


def use_blocking_code(app: App) -> None:
    """The blocking twin has connections of its own."""
    queue = app.sync_queue("blocking")
    queue.add("n")
    queue.get_figures()
    queue.obliterate(force=True)


async def test_a_rule_that_is_missing_is_noticed(servers: Servers, prefix: str) -> None:
    """Otherwise the test above would prove nothing."""
    restricted = restrict(servers.get("valkey"), "valkey", prefix, "-time")

    async with App(restricted.url, prefix=prefix) as app:
        with pytest.raises(StoreUnavailable):
            await app.queue("work").add("n")

    assert any("time" in entry for entry in restricted.denied())


def test_rules_are_the_commands_of_the_sources_and_no_other(servers: Servers) -> None:
    server = servers.get("valkey")
    assert isinstance(server, ValkeyServer)
    commands = {name.decode() for name in server.command("COMMAND", "LIST")}
    scripts = "\n".join(path.read_text() for path in (SOURCES / "_wire/lua").rglob("*.lua"))
    python = "\n".join(
        path.read_text()
        for path in (SOURCES / "_store").rglob("*.py")
        if path.name not in EMBEDDED_ONLY
    )
    words = re.findall(r"'([A-Z]+)'", scripts) + re.findall(r'"([A-Z]{3,})"', python)
    sent = {word.lower() for word in words} & commands - ERRORS - {"cluster"}

    allowed = {word[1:].partition("|")[0] for word in documented() if word[0] == "+"}

    assert allowed == sent
