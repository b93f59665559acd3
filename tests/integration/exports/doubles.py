"""What the exports' tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxcart.database.sample_club import ClubSize
from oxcart.exports.exporter import ExportOrder

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxcart import JsonValue
    from oxcart.exports.exporter import Progress
    from oxcart.exports.storage import LocalStorage

SMALL_CLUB = ClubSize(
    universities=10,
    users=1_200,
    pages=250,
    revisions=400,
    referrals=100,
    notifications=200,
    bookmarks=100,
)


class WatchingObserver:
    """Remembers what an export reported; can be told to fail at a check.

    Args:
        fail_at: at which check (from 1) to raise.
        error: what to raise.
        on_check: called at every check.
    """

    def __init__(
        self,
        *,
        fail_at: int | None = None,
        error: Exception | None = None,
        on_check: Callable[[int], None] | None = None,
    ) -> None:
        self.progress: list[Progress] = []
        self.checks = 0
        self._fail_at = fail_at
        self._error = error or RuntimeError("stopped by the test")
        self._on_check = on_check

    def check(self) -> None:
        self.checks += 1
        if self._on_check is not None:
            self._on_check(self.checks)
        if self.checks == self._fail_at:
            raise self._error

    def report(self, progress: Progress) -> None:
        self.progress.append(progress)


def order(
    type_: str, user_id: str = "user_admin", export_id: str = "cexport1", **filters: JsonValue
) -> ExportOrder:
    return ExportOrder(export_id=export_id, user_id=user_id, type=type_, filters=filters)


def file_names(storage: LocalStorage) -> list[str]:
    """Return every file in the storage's folder, also the hidden ones."""
    if not storage.folder.exists():
        return []
    return sorted(path.name for path in storage.folder.iterdir())
