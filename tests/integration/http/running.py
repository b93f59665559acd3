"""The real system behind the real application, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
from fastapi import FastAPI

from oxcart.database.tables import user as user_table
from oxcart.database.types import Role
from oxcart.http import create_app, serve
from oxcart.http.connections import ConnectionLimits
from oxcart.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from oxcart.database import Database
    from oxcart.system import System

OPERATOR_KEY = "operator-key-0123456789"
SERVICE_KEY = "service-key-0123456789"
ADA = "user-ada"
BOB = "user-bob"
STAFF = "user-staff"
BASE_URL = "http://127.0.0.1:8400"
OPERATOR = {"authorization": f"Bearer {OPERATOR_KEY}"}


def acting_for(user_id: str) -> dict[str, str]:
    """The headers of the site's own server, acting for a user."""
    return {"authorization": f"Bearer {SERVICE_KEY}", "x-oxcart-user": user_id}


def make_settings(folder: Path, **changes: Any) -> Settings:
    """Settings of a system in a folder, on SQLite."""
    defaults: dict[str, Any] = {
        "env": "test",
        "data_dir": folder,
        "database_url": f"sqlite:///{folder / 'club.db'}",
        "operator_keys": (OPERATOR_KEY,),
        "service_keys": (SERVICE_KEY,),
        "signing_secret": "a-secret-that-nobody-guesses",
        "api_url": BASE_URL,
    }
    return Settings(**(defaults | changes))


async def add_users(database: Database) -> None:
    """Put three users into an empty club."""
    roles = {ADA: Role.STUDENT, BOB: Role.STUDENT, STAFF: Role.STAFF}
    now = datetime(2026, 3, 4, tzinfo=UTC)
    rows = [
        {
            "id": user_id,
            "email": f"{user_id}@example.org",
            "name": user_id.title(),
            "role": role,
            "referralCode": f"code-{user_id}",
            "createdAt": now,
            "updatedAt": now,
        }
        for user_id, role in roles.items()
    ]
    async with database.write() as connection:
        await connection.execute(user_table.insert(), rows)


@asynccontextmanager
async def connected(
    system: System, headers: dict[str, str] | None = None
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the system's application."""
    transport = httpx2.ASGITransport(create_app(system), client=("203.0.113.7", 1))
    async with httpx2.AsyncClient(
        transport=transport, base_url=BASE_URL, headers=headers or {}
    ) as client:
        yield client


@asynccontextmanager
async def running(
    app: ASGIApp,
    stop: asyncio.Event,
    *,
    before_stop: Callable[[], Awaitable[None]] | None = None,
    grace_seconds: int = 5,
    limits: ConnectionLimits | None = None,
) -> AsyncIterator[str]:
    """Serve an application on a free port; on leaving, stop it and wait for its end."""
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(
            serve(
                app,
                "127.0.0.1",
                0,
                ready=url.set_result,
                stop=stop,
                before_stop=before_stop or _closing(app),
                grace_seconds=grace_seconds,
                limits=limits,
            )
        )
        try:
            async with asyncio.timeout(10):
                yield await url
        finally:
            stop.set()


def _closing(app: ASGIApp) -> Callable[[], Awaitable[None]] | None:
    """What ends the streams of the built-in system's application."""
    live = getattr(app.state, "live", None) if isinstance(app, FastAPI) else None
    return None if live is None else live.aclose


@asynccontextmanager
async def working(system: System) -> AsyncIterator[None]:
    """Run the system's worker meanwhile."""
    worker = system.worker()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(system.run_worker(worker))
        try:
            yield
        finally:
            worker.stop()


async def until_finished(client: httpx2.AsyncClient, export_id: str) -> dict[str, Any]:
    """Follow an export until its job is finished; return the job as it is shown then."""
    async with asyncio.timeout(30):
        while True:
            job: dict[str, Any] = (await client.get(f"/api/queues/status/{export_id}")).json()
            if job.get("state") in ("completed", "failed"):
                return job
            await asyncio.sleep(0.02)
