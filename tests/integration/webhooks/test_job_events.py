"""The ends of jobs of any queue are reported once, whatever process reads them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from oxcart import App, Fail, JobState, Retention
from oxcart.database import Database
from oxcart.errors import ConfigError
from oxcart.webhooks import Delivery, Endpoint, Endpoints, SigningSecret, WebhookOutbox
from oxcart.webhooks.job_events import JobEvents, WatchedQueue, _Reader
from oxcart.webhooks.records import DeliveryRecords
from oxcart.webhooks.tables import cursor

ENDPOINT = Endpoint(
    name="site",
    url="http://127.0.0.1:9/",
    secrets=(SigningSecret.generate(),),
    events=("job.*",),
)


@pytest.fixture
async def app(valkey_url: str, prefix: str) -> AsyncIterator[App]:
    async with App(valkey_url, prefix=prefix) as app:

        @app.job(queue="images", attempts=1)
        async def resize(width: int, *, token: str) -> dict[str, Any]:
            if width < 0:
                raise Fail(f"width {width} with {token}")
            return {"width": width, "seen": token}

        @app.job(queue="images")
        async def crop(width: int) -> str:
            return "x" * width

        yield app


@asynccontextmanager
async def working(app: App) -> AsyncIterator[None]:
    worker = app.worker({"images": 2}, grace="1s")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker.run())
        try:
            yield
        finally:
            worker.stop()


async def run_jobs(app: App, *jobs: tuple[str, dict[str, Any]], **options: Any) -> list[str]:
    """Add jobs and wait until each has ended; return their ids."""
    queue = app.queue("images")
    added = [await queue.add(name, data, **options) for name, data in jobs]
    async with working(app), asyncio.timeout(20):
        while True:
            states = [await queue.get_state(job.id) for job in added]
            if all(state in (JobState.COMPLETED, JobState.FAILED) for state in states):
                return [job.id for job in added]
            if options and JobState.UNKNOWN in states:
                return [job.id for job in added]
            await asyncio.sleep(0.02)


def events_of(app: App, database: Database, *watched: str) -> JobEvents:
    outbox = WebhookOutbox(Endpoints([ENDPOINT]))
    return JobEvents(app, database, outbox, WatchedQueue.parse_all(watched))


async def written(database: Database) -> list[Delivery]:
    return (await DeliveryRecords(database).find())[::-1]


async def test_ends_of_jobs_are_written_with_their_secrets_hidden(
    app: App, database: Database
) -> None:
    events = events_of(app, database, "images")
    assert await events.look() == 0
    good, bad, long = await run_jobs(
        app,
        ("resize", {"width": 8, "token": "s3cret-token"}),
        ("resize", {"width": -1, "token": "s3cret-token"}),
        ("crop", {"width": 5_000}),
    )

    assert await events.look() == 3
    assert await events.look() == 0
    found = {json.loads(item.body)["data"]["id"]: item for item in await written(database)}
    assert {item.type for item in found.values()} == {"job.completed", "job.failed"}
    completed, failed = json.loads(found[good].body), json.loads(found[bad].body)
    assert completed["data"] == {
        "queue": "images",
        "id": good,
        "name": "resize",
        "attemptsMade": 1,
        "result": {"width": 8, "seen": "[redacted]"},
    }
    assert failed["type"] == "job.failed"
    assert failed["data"]["failedReason"] == "width -1 with [redacted]"
    assert "result" not in json.loads(found[long].body)["data"]
    at = datetime.fromisoformat(completed["timestamp"])
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)


async def test_ends_while_no_process_read_are_written_by_the_next_one_once(
    app: App, database: Database
) -> None:
    first = events_of(app, database, "images")
    await first.look()
    await run_jobs(app, *[("crop", {"width": n}) for n in range(3)])

    # The first process was killed: its lease runs out, and another one takes over.
    second = events_of(app, database, "images")
    assert await second.look() == 0
    async with database.write() as connection:
        await connection.execute(
            update(cursor).values(leased_until=datetime.now(UTC) - timedelta(seconds=1))
        )
    third = events_of(app, database, "images")
    assert await third.look() == 3

    # The first one was not dead, only slow: it may not write any more.
    assert await first.look() == 0
    assert len(await written(database)) == 3


async def test_entry_that_is_read_twice_is_one_message(app: App, database: Database) -> None:
    events = events_of(app, database, "images")
    await events.look()
    await run_jobs(app, ("crop", {"width": 1}))
    assert await events.look() == 1
    reader: _Reader = events._readers[0]
    reader._after = "0"

    assert await events.look() == 0
    assert len(await written(database)) == 1


async def test_names_choose_jobs_and_removed_jobs_are_reported_where_none_is_chosen(
    app: App, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    everything = events_of(app, database, "images")
    await everything.look()
    await run_jobs(app, ("crop", {"width": 1}), keep_completed=Retention(count=0))
    assert await everything.look() == 1
    (removed,) = await written(database)
    assert json.loads(removed.body)["data"].keys() == {"queue", "id"}

    chosen = events_of(app, database, "images:resize")
    reader: _Reader = chosen._readers[0]
    reader._owner = everything._readers[0]._owner
    (resized, _) = await run_jobs(
        app, ("resize", {"width": 1, "token": "t"}), ("crop", {"width": 2})
    )
    await run_jobs(app, ("resize", {"width": 2, "token": "t"}), keep_completed=Retention(count=0))
    assert await chosen.look() == 1
    assert json.loads((await written(database))[-1].body)["data"]["id"] == resized
    assert "webhook.job_removed" in caplog.messages


def test_watched_queues_are_read_from_a_list() -> None:
    assert WatchedQueue.parse_all(["a:x", "b", "a:y", "c:z", "c"]) == (
        WatchedQueue("a", frozenset({"x", "y"})),
        WatchedQueue("b"),
        WatchedQueue("c"),
    )
    for item in ("", ":x", "a:", "webhook"):
        with pytest.raises(ConfigError):
            WatchedQueue.parse_all([item])


async def test_events_are_read_in_pages_without_waiting(app: App) -> None:
    queue = app.queue("images")
    assert await queue.get_events() == []
    await run_jobs(app, ("crop", {"width": 1}))
    first = await queue.get_events(count=2)
    rest = await queue.get_events(after=first[-1].id)

    assert len(first) == 2
    assert "completed" in [event.name for event in (*first, *rest)]
    assert await queue.get_events(after=rest[-1].id) == []
    assert [event.id for event in await queue.get_events()] == [
        event.id for event in (*first, *rest)
    ]
    for wrong in ({"after": "x"}, {"count": 0}):
        with pytest.raises(ConfigError):
            await queue.get_events(**wrong)
