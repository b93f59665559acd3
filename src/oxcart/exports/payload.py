"""What a job of the queue ``export`` carries, exactly as the site writes it."""

from __future__ import annotations

from typing import Any

import msgspec


class ExportPayload(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The data of an export's job."""

    export_job_id: str
    """Id of the row in ``ExportJob``; also the job's id."""
    user_id: str
    """Who asked."""
    type: str
    """One of ``ExportType``; also the job's name."""
    filters: dict[str, Any] | None = None
    """Values by name; checked by the export's own declarations."""
