"""An export as it is shown to clients that follow it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from oxcart.exports.errors import ExportNotFound
from oxcart.exports.reasons import PUT_BACK, reason_for_user
from oxcart.http.live.job_view import Presentation
from oxcart.http.schemas import ShownExport, shown_export

if TYPE_CHECKING:
    from oxcart import QueueEvent
    from oxcart.exports.records import ExportRecord
    from oxcart.exports.service import ExportService

REMOVED = "REMOVED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportView:
    """An export at one moment.

    Attributes:
        state: the row's status.
        document: what is shown of it.
        is_finished: whether the row is COMPLETED or FAILED.
    """

    state: str
    document: dict[str, Any]
    is_finished: bool

    def shown_progress(self, value: Any) -> dict[str, Any]:
        """The progress that the export's job reported."""
        return shown_progress(value)

    def shown_reason(self, reason: Any) -> Any:
        """Why the export's job failed, as the export's user may see it."""
        return reason_for_user(str(reason))

    def gone(self, event: QueueEvent | None) -> ExportView:
        """The export once its row was deleted."""
        document = self.document | {"status": REMOVED, "fileUrl": None}
        return replace(self, state=REMOVED, document=document)


def shown_progress(value: Any) -> dict[str, Any]:
    """An export's progress: a number, as the site knows it, and the rest beside it."""
    if isinstance(value, dict) and "percent" in value:
        return {"progress": value["percent"], "progressDetails": value}
    return {"progress": value}


FOR_OPERATORS = Presentation(progress=shown_progress)
"""How operators see the job of an export."""
FOR_USERS = Presentation(
    progress=shown_progress,
    reason=lambda reason: reason_for_user(str(reason)),
    delay_reason=lambda _: PUT_BACK,
)
"""How its user sees it: without the server's folders, hosts and connections."""


def show_export(exports: ExportService, record: ExportRecord) -> ShownExport:
    """Show an export to its owner or to an operator."""
    return shown_export(
        record, file_url=exports.signed_url(record), expires_at=exports.expires_at(record)
    )


async def read_export(
    exports: ExportService, export_id: str, owner_id: str | None, *, with_link: bool = True
) -> ExportView | None:
    """Read an export; ``None`` if it is not there, or not the owner's.

    Args:
        exports: reads it.
        export_id: the export.
        owner_id: whose it must be; ``None`` for an operator.
        with_link: show the link to the file; a ticket does not permit to open it.
    """
    try:
        record = await exports.get_export(export_id, owner_id)
    except ExportNotFound:
        return None
    shown = show_export(exports, record)
    if not with_link:
        shown.file_url = None
    return ExportView(
        state=record.status.value,
        document=shown.model_dump(by_alias=True, exclude_unset=True),
        is_finished=not record.is_open,
    )
