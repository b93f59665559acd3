"""One run of an export: a snapshot's rows through a writer into the storage."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from oxcart.database.users import find_user
from oxcart.exports.datasets import dataset_of
from oxcart.exports.errors import ExportForbidden, ExportIncomplete
from oxcart.exports.tabular import Origin, TableRows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from oxcart import JsonValue
    from oxcart.database.engine import Database
    from oxcart.database.users import User
    from oxcart.exports.datasets.declared import Dataset, Part
    from oxcart.exports.storage import Storage, StoredFile

PROGRESS_SECONDS = 0.5
"""The shortest time between two reports of progress."""
_UNPUBLISHED_PERCENT = 99
"""The most that is reported before the file is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOrder:
    """What to export."""

    export_id: str
    user_id: str
    """Who asked."""
    type: str
    filters: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an export is."""

    phase: str
    """``counting``, ``writing``, ``publishing``, then ``done``."""
    rows: int
    total: int

    @property
    def percent(self) -> int:
        """Whole per cent; 100 only when the file is there."""
        if self.phase == "done":
            return 100
        return min(_UNPUBLISHED_PERCENT, self.rows * 100 // self.total) if self.total else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """What came of an export."""

    file: StoredFile
    rows: int
    owner_role: str
    """The user's role, which decided which rows are in the file."""


class Observer(Protocol):
    """Looks on while an export runs."""

    def check(self) -> None:
        """Raise if the export may not go on; asked at every batch and before publishing."""
        ...

    def report(self, progress: Progress) -> None:
        """Take note of the progress; called at most about twice a second."""
        ...


class Exporter:
    """Runs exports, blocking, in constant memory.

    Args:
        database: where the rows are.
        storage: where the files go.
    """

    def __init__(self, database: Database, storage: Storage) -> None:
        self._database = database
        self._storage = storage

    def run(self, order: ExportOrder, observer: Observer) -> ExportResult:
        """Write the file and publish it, in the place of an earlier one of the same export.

        Raises:
            ExportForbidden: the user may not (or no longer) have this.
            UnknownExportType, UnknownFilter, BadFilter: the order can never be carried out.
            DatabaseUnavailable, StorageFull, ExportIncomplete: another attempt may succeed.
        """
        dataset = dataset_of(order.type)
        observer.check()
        with self._database.snapshot() as connection:
            user = _checked_user(connection, dataset, order)
            conditions = dataset.conditions(user, order.filters)
            run = _Run(connection, dataset.parts, order.user_id, conditions, observer)
            origin = Origin(type=order.type, user_id=order.user_id, as_of=datetime.now(UTC))
            with self._storage.create(key_of(order.export_id, dataset)) as upload:
                dataset.writer.write(upload, run.tables(), origin)
                run.report("publishing")
                observer.check()
                stored = upload.publish()
        run.report("done")
        return ExportResult(file=stored, rows=run.rows, owner_role=user.role)


def key_of(export_id: str, dataset: Dataset) -> str:
    """Return the key of an export's file: the same at every attempt."""
    return export_id + dataset.writer.extension


def _checked_user(connection: Connection, dataset: Dataset, order: ExportOrder) -> User:
    """Return the user, checking the order against the user's rights as they are now."""
    user = find_user(connection, order.user_id)
    if user is None:
        raise ExportForbidden(f"the user {order.user_id!r} is gone")
    dataset.check(user, order.filters)
    return user


class _Run:
    """The rows of one export on their way, counted."""

    def __init__(
        self,
        connection: Connection,
        parts: Sequence[Part],
        user_id: str,
        conditions: list[ColumnElement[bool]],
        observer: Observer,
    ) -> None:
        self._connection = connection
        self._parts = parts
        self._scope = (user_id, conditions)
        self._observer = observer
        self._reported_at = float("-inf")
        self.rows = 0
        self.total = 0
        self.report("counting")
        self._counts = [connection.execute(part.count(*self._scope)).scalar_one() for part in parts]
        self.total = sum(self._counts)

    def tables(self) -> Iterator[TableRows]:
        """Give the parts' rows, to be gone through in order."""
        for part, count in zip(self._parts, self._counts, strict=True):
            batches = self._batches(part, count)
            yield TableRows(name=part.name, headings=part.headings, batches=batches)

    def report(self, phase: str) -> None:
        """Report progress now."""
        self._reported_at = time.monotonic()
        self._observer.report(Progress(phase=phase, rows=self.rows, total=self.total))

    def _batches(self, part: Part, expected: int) -> Iterator[Sequence[Sequence[Any]]]:
        written = 0
        with self._connection.execute(part.rows(*self._scope)) as result:
            for batch in result.partitions():
                self._observer.check()
                yield batch
                written += len(batch)
                self.rows += len(batch)
                if time.monotonic() - self._reported_at >= PROGRESS_SECONDS:
                    self.report("writing")
        if written != expected:
            raise ExportIncomplete(part.name, expected=expected, actual=written)
