"""Removes files that nobody may download any more: of expired exports and of deleted rows.

An expired export stays COMPLETED: the site knows no other status. Its ``fileUrl`` becomes null and
``expiredAt`` says when. Any number of sweepers may run at once. The file is deleted first and the
row changed second, so a sweeper that dies in between leaves a row for the next one.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Text, cast, delete, select, update

from oxcart.database.tables import export_job, idempotency_key
from oxcart.database.types import ExportStatus
from oxcart.exports.datasets import DATASETS
from oxcart.exports.exporter import key_of
from oxcart.exports.idempotency import KEPT_FOR
from oxcart.exports.links import FILE_URL_PATTERN

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from sqlalchemy import Row

    from oxcart.database.engine import Database
    from oxcart.exports.storage import Storage

log = logging.getLogger("oxcart.exports")

INTERVAL = timedelta(minutes=10)
MAX_FIRST_DELAY = timedelta(minutes=1)
"""The first sweep of a process comes after a random part of this: processes start together."""
BATCH = 500
# Only files that are named as exports are: the folder may hold others, put there by mistake.
_FILE = re.compile(
    r"(?P<id>c[0-9a-z]{24}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?P<extension>\.[a-z]+)"
)
_EXTENSIONS = frozenset(dataset.writer.extension for dataset in DATASETS.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """What one sweep removed.

    Attributes:
        expired_count: exports that expired.
        orphan_count: files whose export is not in the database: its user was deleted.
        key_count: idempotency keys that are too old to be used.
    """

    expired_count: int
    orphan_count: int
    key_count: int


class ExportSweeper:
    """Removes the files of expired exports and of exports whose row was deleted.

    Args:
        database: where the rows are.
        storage: where the files are.
        keep_for: how long after its completion an export expires; None: never.
        interval: between two sweeps.
        batch: how many rows or files are looked at at a time.
        rng: chooses the delay before the first sweep.
    """

    def __init__(
        self,
        database: Database,
        storage: Storage,
        *,
        keep_for: timedelta | None,
        interval: timedelta = INTERVAL,
        batch: int = BATCH,
        rng: Random | None = None,
    ) -> None:
        self._database = database
        self._storage = storage
        self._keep_for = keep_for
        self._interval_seconds = interval.total_seconds()
        self._batch = batch
        self._rng = rng or random.SystemRandom()
        self._is_troubled = False

    async def run(self) -> None:
        """Sweep every few minutes, until cancelled."""
        first = min(self._interval_seconds, MAX_FIRST_DELAY.total_seconds())
        await asyncio.sleep(self._rng.uniform(0, first))
        while True:
            await self.try_sweep()
            await asyncio.sleep(self._interval_seconds)

    async def try_sweep(self) -> None:
        """Sweep once; log an error instead of raising it: the next sweep may succeed."""
        try:
            await self.sweep()
        except Exception as error:  # noqa: BLE001  # a loop top: whatever it is may pass
            if not self._is_troubled:  # once an outage
                log.warning("export.sweep_failed", extra={"reason": str(error)})
            self._is_troubled = True
        else:
            self._is_troubled = False

    async def sweep(self) -> SweepReport:
        """Remove everything that is due.

        Raises:
            DatabaseUnavailable: the rows cannot be read.
            OSError: the storage cannot be read.
        """
        expired = 0
        if self._keep_for is not None:
            expired = await self._expire(datetime.now(UTC) - self._keep_for)
        return SweepReport(
            expired_count=expired,
            orphan_count=await self._remove_orphans(),
            key_count=await self._forget_keys(),
        )

    async def _expire(self, before: datetime) -> int:
        count, after = 0, ""
        while True:
            rows = await self._due(before, after)
            for row in rows:
                count += await self._expire_row(row)
            if len(rows) < self._batch:
                return count
            after = rows[-1].id

    async def _due(self, before: datetime, after: str) -> list[Row[str, str]]:
        query = (
            select(export_job.c.id, cast(export_job.c.type, Text).label("type"))
            .where(
                export_job.c.status == ExportStatus.COMPLETED,
                export_job.c.completedAt < before,
                export_job.c.expiredAt.is_(None),
                # URLs that the site itself or another worker set lead elsewhere.
                export_job.c.fileUrl.like(FILE_URL_PATTERN),
                export_job.c.id > after,
            )
            .order_by(export_job.c.id)
            .limit(self._batch)
        )
        async with self._database.read() as connection:
            return list((await connection.execute(query)).all())

    async def _expire_row(self, row: Row[str, str]) -> int:
        dataset = DATASETS.get(row.type)
        if dataset is None:
            return 0
        if not await self._delete(key_of(row.id, dataset)):
            return 0
        statement = (
            update(export_job)
            .where(export_job.c.id == row.id, export_job.c.expiredAt.is_(None))
            .values(expiredAt=datetime.now(UTC), fileUrl=None)
        )
        async with self._database.write() as connection:
            is_changed = (await connection.execute(statement)).rowcount == 1
        if is_changed:  # by one sweeper of those that run at once
            log.info("export.expired", extra={"job_id": row.id, "type": row.type})
        return int(is_changed)

    async def _remove_orphans(self) -> int:
        count = 0
        keys = iter(await asyncio.to_thread(lambda: sorted(self._storage.list_keys())))
        while batch := list(itertools.islice(keys, self._batch)):
            for key in await self._orphans(batch):
                if not await self._delete(key):
                    continue
                log.info("export.orphan_removed", extra={"key": key})
                count += 1
        return count

    async def _orphans(self, keys: Iterable[str]) -> list[str]:
        """The keys whose export is not in the database. A row is always there before its file."""
        named = [(key, match) for key in keys if (match := _FILE.fullmatch(key))]
        exports = {key: match["id"] for key, match in named if match["extension"] in _EXTENSIONS}
        if not exports:
            return []
        query = select(export_job.c.id).where(export_job.c.id.in_(set(exports.values())))
        async with self._database.read() as connection:
            present = set(await connection.scalars(query))
        return [key for key, export_id in exports.items() if export_id not in present]

    async def _delete(self, key: str) -> bool:
        """Delete a file; one that cannot be deleted does not keep the others."""
        try:
            await asyncio.to_thread(self._storage.delete, key)
        except OSError as error:
            log.warning("export.file_not_removed", extra={"key": key, "reason": str(error)})
            return False
        return True

    async def _forget_keys(self) -> int:
        old = idempotency_key.c.created_at < datetime.now(UTC) - KEPT_FOR
        async with self._database.write() as connection:
            return (await connection.execute(delete(idempotency_key).where(old))).rowcount
