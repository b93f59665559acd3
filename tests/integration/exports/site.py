"""The exports of a site, put together as the system does it, on real servers."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from oxcart import App, JobState
from oxcart.database import Database, Users
from oxcart.exports import (
    ExportJobs,
    ExportRecords,
    ExportService,
    LinkSigner,
    LocalStorage,
    Outbox,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    from oxcart import AppWorker, Job, JsonValue
    from oxcart.database.users import User
    from oxcart.exports import ExportRecord, RequestedExport, Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything that works together."""

    app: App
    database: Database
    storage: LocalStorage
    jobs: ExportJobs
    records: ExportRecords
    service: ExportService
    outbox: Outbox

    async def request(
        self,
        type_: str,
        *,
        user_id: str = "user_admin",
        filters: Mapping[str, JsonValue] | None = None,
    ) -> RequestedExport:
        user = await self.user(user_id)
        return await self.service.request_export(user, type_, filters)

    async def user(self, user_id: str) -> User:
        user = await Users(self.database).get(user_id)
        assert user is not None
        return user

    async def record(self, export_id: str) -> ExportRecord:
        return await self.service.get_export(export_id, None)

    async def job(self, export_id: str) -> Job[Any]:
        job = await self.jobs.queue.get_job(export_id)
        assert job is not None
        return job

    async def state(self, export_id: str) -> JobState:
        return await self.jobs.queue.get_state(export_id)

    async def wait_for_state(self, export_id: str, state: JobState) -> None:
        async def reached() -> bool:
            return await self.state(export_id) is state

        await eventually(reached, what=f"job {export_id} to be {state}")

    async def wait_for_end(self, export_id: str) -> ExportRecord:
        """Wait until the row has ended; a failed job's row ends a little after the job."""

        async def ended() -> bool:
            return not (await self.record(export_id)).is_open

        await eventually(ended, what=f"export {export_id} to end")
        return await self.record(export_id)

    @asynccontextmanager
    async def worker(self, **options: Any) -> AsyncIterator[AppWorker]:
        """Run a worker while the context lasts."""
        worker = self.app.worker({"export": 2}, **({"grace": "5s"} | options))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(worker.run())
            try:
                yield worker
            finally:
                worker.stop()


@asynccontextmanager
async def open_site(
    database: Database,
    *,
    valkey_url: str,
    prefix: str,
    folder: Path,
    storage: Storage | None = None,
) -> AsyncIterator[Site]:
    """Put a site together; its files go to ``folder``/exports."""
    local = LocalStorage(folder / "exports")
    store = storage or local
    signer = LinkSigner(b"x" * 16, base_url="https://club.example", lifetime=timedelta(minutes=5))
    records = ExportRecords(database)
    async with App(valkey_url, prefix=prefix) as app:
        jobs = ExportJobs(app, database=database, storage=store, signer=signer)
        yield Site(
            app=app,
            database=database,
            storage=local,
            jobs=jobs,
            records=records,
            service=ExportService(jobs=jobs, records=records, storage=store, signer=signer),
            outbox=Outbox(jobs=jobs, records=records),
        )


async def eventually(
    condition: Callable[[], Awaitable[object]], *, within: float = 20, what: str
) -> None:
    """Wait until an asynchronous condition holds, looking often."""
    deadline = time.monotonic() + within
    while not await condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within} s for {what}")
        await asyncio.sleep(0.02)
