"""The built-in system with one endpoint for webhooks, for tests."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from standardwebhooks.webhooks import Webhook
from tests.integration.http.running import ADA, add_users, make_settings
from tests.integration.webhooks.receiver import Request

from oxcart.database import Users
from oxcart.settings import Settings
from oxcart.system import System, open_system
from oxcart.webhooks import Webhooks
from oxcart.webhooks.signatures import SigningSecret
from oxcart.webhooks.tables import message

SECRET = SigningSecret.generate()


def webhook_settings(folder: Path, url: str, **changes: Any) -> Settings:
    """Settings with an endpoint ``site`` and a quick schedule."""
    defaults: dict[str, Any] = {
        "webhook_endpoints": (f"site={url}",),
        "webhook_secrets": (f"site={SECRET.reveal()}",),
        "webhook_waits": ("10ms", "10ms"),
    }
    return make_settings(folder, **(defaults | changes))


@asynccontextmanager
async def opened(settings: Settings, *, is_new: bool = True) -> AsyncIterator[System]:
    async with open_system(settings) as system:
        if is_new:
            await add_users(system.database)
        yield system


@asynccontextmanager
async def delivering(system: System) -> AsyncIterator[None]:
    """Run relay and worker of the deliveries meanwhile."""
    worker = system.app.worker({"webhook": 2}, grace="1s")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(system.run_worker(worker))
        try:
            yield
        finally:
            worker.stop()


def webhooks_of(system: System) -> Webhooks:
    assert system.webhooks is not None
    return system.webhooks


async def ended_export(system: System, *, is_completed: bool = True) -> str:
    """Make an export and set it to its end, as a worker of the site reports it."""
    user = await Users(system.database).get(ADA)
    assert user is not None
    requested = await system.exports.request_export(user, "USER_DATA")
    if is_completed:
        await system.exports.report_event(
            "completed", requested.record.id, result="https://files.example/1"
        )
    else:
        await system.exports.report_event("failed", requested.record.id, error="no room")
    return requested.record.id


async def message_count(system: System) -> int:
    async with system.database.read() as connection:
        return int(await connection.scalar(select(func.count()).select_from(message)) or 0)


async def eventually(
    condition: Callable[[], Awaitable[object]], *, within: float = 20, what: str
) -> None:
    """Wait until an asynchronous condition holds, looking often."""
    deadline = time.monotonic() + within
    while not await condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within} s for {what}")
        await asyncio.sleep(0.02)


async def wait_for_state(system: System, state: str) -> None:
    """Wait until every delivery is in a state."""

    async def reached() -> bool:
        found = await webhooks_of(system).records.find()
        return bool(found) and all(item.state == state for item in found)

    await eventually(reached, what=f"deliveries to be {state}")


def verified(request: Request, secret: SigningSecret = SECRET) -> dict[str, Any]:
    """Verify a request with the public library, and return its message."""
    Webhook(secret.reveal()).verify(request.body, request.headers)
    document: dict[str, Any] = json.loads(request.body)
    return document
