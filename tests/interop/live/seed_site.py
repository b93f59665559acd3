"""The site of the seed system: Node adds e-mails and exports as it always has."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from tests.integration.database.rows import insert_user
from tests.interop.live.node_side import NodeSide

from oxcart import JsonValue
from oxcart.database import Database
from oxcart.database.schema import prepare_schema
from oxcart.database.tables import export_job
from oxcart.database.types import ExportStatus

USER = "user_1"
PACE_S = 0.03
"""Between two mails: work comes in all the time, and the queue is never long."""
EXPORTS = 40
"""Fewer than are kept when they have completed, so that each can be looked at in the end."""
DIGEST, DIGEST_ADDRESS, DIGEST_EVERY_MS = "digest", "digest@example.org", 250
HOUR_MS = 3_600_000

MAIL = {
    "attempts": 3,
    "backoff": {"type": "exponential", "delay": 1_000},
    "priority": 2,
    "removeOnComplete": {"count": 100, "age": 86_400},
    "removeOnFail": {"count": 50, "age": 7 * 86_400},
}
EXPORT = {
    "attempts": 3,
    "backoff": {"type": "exponential", "delay": 2_000},
    "removeOnComplete": {"count": 50, "age": 7 * 86_400},
    "removeOnFail": {"count": 25, "age": 30 * 86_400},
}
METADATA: dict[str, dict[str, JsonValue]] = {
    "welcome": {},
    "verification": {"metadata": {"token": "t0ken"}},
    "password_reset": {"metadata": {"resetCode": "123456"}},
    "notification": {"metadata": {"title": "News", "message": "There is some.", "link": "/news"}},
}


class Site:
    """What adds the jobs, and has the exports' rows.

    Args:
        node: the process that adds.
        database: where the rows are.

    Attributes:
        mails: the ids of the e-mail jobs, by the address, which each has for itself.
        exports: the ids of the export jobs.
    """

    def __init__(self, node: NodeSide, database: Database) -> None:
        self._node = node
        self._database = database
        self._names = itertools.cycle(METADATA)
        self.mails: dict[str, str] = {}
        self.exports: list[str] = []

    async def prepare(self) -> None:
        """Make the tables and the user."""
        await prepare_schema(self._database, may_migrate=True)
        await insert_user(self._database, USER)

    async def mail(self, address: str, **options: Any) -> str:
        """Add an e-mail job; gives its id."""
        name = next(self._names)
        data = _mail_data(name, address)
        given = MAIL | ({"priority": 1} if name == "password_reset" else {}) | options
        job = await self._node.queue("email").add(name, data, **given)
        self.mails[address] = job["id"]
        return str(job["id"])

    async def export(self, export_id: str, **options: Any) -> str:
        """Make an export's row and add its job; gives the id of both."""
        name = "USER_DATA" if len(self.exports) % 2 else "ANALYTICS"
        row = {
            "id": export_id,
            "userId": USER,
            "type": name,
            "status": ExportStatus.PENDING,
            "createdAt": datetime.now(UTC),
        }
        async with self._database.write() as connection:
            await connection.execute(export_job.insert(), [row])
        data: JsonValue = {"exportJobId": export_id, "userId": USER, "type": name}
        given = EXPORT | {"jobId": export_id} | options
        await self._node.queue("export").add(name, data, **given)
        self.exports.append(export_id)
        return export_id

    async def bring_forward(self, queue: str, job_id: str) -> None:
        """Let a job that waits for a time come soon."""
        await self._node.queue(queue).call_job(job_id, "changeDelay", 50)

    @asynccontextmanager
    async def adding(self) -> AsyncIterator[None]:
        """Add mails and exports and have a scheduler's mails made, while the body runs."""
        scheduled = {
            "name": "notification",
            "data": _mail_data("notification", DIGEST_ADDRESS),
            "opts": MAIL,
        }
        queue = self._node.queue("email")
        await queue.call("upsertJobScheduler", DIGEST, {"every": DIGEST_EVERY_MS}, scheduled)
        enough = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._add_until(enough))
            try:
                yield
            finally:
                enough.set()
        assert await queue.call("removeJobScheduler", DIGEST)

    async def _add_until(self, enough: asyncio.Event) -> None:
        for number in itertools.count():
            luck = "unlucky" if number % 9 == 8 else "lucky"
            await self.mail(f"{luck}-{number}@example.org")
            if number % 6 == 0 and len(self.exports) < EXPORTS:
                await self.export(f"cexport{number:06}")
            with suppress(TimeoutError):
                async with asyncio.timeout(PACE_S):
                    await enough.wait()
                return


def _mail_data(name: str, address: str) -> dict[str, JsonValue]:
    called = "" if name == "password_reset" else "Ada"
    return {"type": name, "toEmail": address, "name": called, **METADATA[name]}
