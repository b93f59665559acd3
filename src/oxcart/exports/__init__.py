"""Export jobs: datasets stream through writers into a storage, and rows say what became of them.

One export's way: ``service.request_export`` writes the row and queues the job (``outbox`` does it
later if need be) → ``jobs.run_export`` runs it in a worker → ``exporter`` streams ``datasets``
through ``writers`` into ``storage`` → the row in ``records`` is COMPLETED → ``links`` sign its URL.
"""

from oxcart.exports.errors import (
    BadFilter,
    ExportError,
    ExportExpired,
    ExportForbidden,
    ExportIncomplete,
    ExportNotFound,
    ExportNotReady,
    IdempotencyKeyReused,
    LinkExpired,
    LinkInvalid,
    StorageFull,
    UnknownExportType,
    UnknownFilter,
)
from oxcart.exports.expiry import ExportSweeper, SweepReport
from oxcart.exports.jobs import ExportJobs
from oxcart.exports.links import LinkSigner, signing_secret
from oxcart.exports.outbox import Outbox
from oxcart.exports.records import ExportRecord, ExportRecords
from oxcart.exports.service import ExportFile, ExportPage, ExportService, RequestedExport
from oxcart.exports.storage import LocalStorage, Storage

__all__ = [
    "BadFilter",
    "ExportError",
    "ExportExpired",
    "ExportFile",
    "ExportForbidden",
    "ExportIncomplete",
    "ExportJobs",
    "ExportNotFound",
    "ExportNotReady",
    "ExportPage",
    "ExportRecord",
    "ExportRecords",
    "ExportService",
    "ExportSweeper",
    "IdempotencyKeyReused",
    "LinkExpired",
    "LinkInvalid",
    "LinkSigner",
    "LocalStorage",
    "Outbox",
    "RequestedExport",
    "Storage",
    "StorageFull",
    "SweepReport",
    "UnknownExportType",
    "UnknownFilter",
    "signing_secret",
]
