"""The shapes of requests and answers, as the site's front end knows them."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from pydantic import AliasGenerator, BaseModel, ConfigDict, Field, JsonValue, field_validator
from pydantic.alias_generators import to_camel

from oxcart.burst import BurstReport
from oxcart.exports.datasets import DATASETS
from oxcart.exports.records import ExportRecord
from oxcart.http.bursts import DEFAULT_SECONDS, MAX_JOBS, MAX_SECONDS
from oxcart.http.live.following import MAX_WAIT_SECONDS
from oxcart.http.live.tickets import MAX_CHARS as MAX_TICKET_CHARS
from oxcart.operations import SystemStatus

MAX_NAME_CHARS = 64
MAX_ID_CHARS = 200
MAX_TEXT_CHARS = 10_000
MAX_CURSOR_CHARS = 500
MAX_FILTERS = 50

ExportStatus = Literal["PENDING", "PROCESSING", "COMPLETED", "FAILED"]


class _Request(BaseModel):
    """What a caller sends: nothing unknown, nothing converted."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        alias_generator=AliasGenerator(validation_alias=to_camel, serialization_alias=to_camel),
    )


class _Answer(BaseModel):
    """What a caller gets. A member that is optional is left out rather than null."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class ExportRequest(_Request):
    """What to export."""

    type: Annotated[
        str,
        Field(
            min_length=1, max_length=MAX_NAME_CHARS, json_schema_extra={"enum": sorted(DATASETS)}
        ),
    ]
    filters: Annotated[dict[str, JsonValue], Field(max_length=MAX_FILTERS)] | None = None


class ExportsQuery(BaseModel):
    """Which of the caller's exports to list. Other parameters are ignored, as in the old system."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    status: ExportStatus | None = None
    cursor: Annotated[str | None, Field(max_length=MAX_CURSOR_CHARS, pattern="^[!-~]+$")] = None

    @field_validator("status", "cursor", mode="before")
    @classmethod
    def _empty_is_absent(cls, value: object) -> object:
        return value if value != "" else None


class LinkQuery(BaseModel):
    """The signature of a download link."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    expires: Annotated[str | None, Field(max_length=MAX_ID_CHARS)] = None
    signature: Annotated[str | None, Field(max_length=MAX_ID_CHARS)] = None

    @property
    def is_given(self) -> bool:
        """Whether the request came by a signed link."""
        return self.expires is not None or self.signature is not None


class TicketQuery(BaseModel):
    """A ticket instead of a credential."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ticket: Annotated[str | None, Field(max_length=MAX_TICKET_CHARS)] = Field(
        default=None, description="A ticket for this job, instead of a credential."
    )


class JobQuery(TicketQuery):
    """How long to wait for a job to change."""

    wait: Annotated[int, Field(ge=0, le=MAX_WAIT_SECONDS)] = Field(
        default=0, description="Answer after this many seconds at the latest (long poll)."
    )
    state: Annotated[str | None, Field(max_length=MAX_NAME_CHARS)] = Field(
        default=None, description="With wait: the state that the caller knows."
    )


class ExportQuery(TicketQuery):
    """How long to wait for an export to change."""

    wait: Annotated[int, Field(ge=0, le=MAX_WAIT_SECONDS)] = Field(
        default=0, description="Answer after this many seconds at the latest (long poll)."
    )
    status: ExportStatus | None = Field(
        default=None, description="With wait: the status that the caller knows."
    )


class BurstQuery(BaseModel):
    """How much a burst does at the most."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)

    max_jobs: Annotated[int | None, Field(ge=1, le=MAX_JOBS)] = None
    max_seconds: Annotated[int, Field(ge=1, le=MAX_SECONDS)] = DEFAULT_SECONDS


class WebhookEvent(_Request):
    """A job's end, reported by a worker that cannot write to the database itself."""

    event: Literal["completed", "failed"]
    job_id: Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS)]
    queue: Literal["email", "export"]
    data: dict[str, JsonValue]
    result: JsonValue = None
    error: Annotated[str, Field(max_length=MAX_TEXT_CHARS)] | None = None


class CreatedExport(_Answer):
    """An export that was just asked for."""

    id: str
    status: str
    type: str
    created_at: str
    job_id: str = Field(default="", description="Absent when the queue was not to be had.")


class ShownTicket(_Answer):
    """A ticket by which a browser may follow one job."""

    token: str
    expires_at: str
    status_path: str = Field(description="The status route, with the ticket; on this server.")
    events_path: str = Field(description="The events, for `EventSource`; on this server.")


class TicketAnswer(_Answer):
    """A new ticket."""

    success: Literal[True] = True
    ticket: ShownTicket


class CreatedExportAnswer(_Answer):
    """The answer to a new export."""

    success: Literal[True] = True
    export_job: CreatedExport
    ticket: ShownTicket = Field(description="Permits a browser to follow this export.")
    message: str = Field(default="", description="Said only when the export has to wait.")


class ShownExport(_Answer):
    """An export as its owner sees it."""

    id: str
    type: str
    status: str
    file_url: str | None = Field(description="A signed link that expires; null until COMPLETED.")
    created_at: str
    completed_at: str = Field(default="", description="Absent until COMPLETED or FAILED.")
    expires_at: str = Field(
        default="",
        description="When the file is or was removed; absent until COMPLETED, and if it is kept.",
    )


class ExportAnswer(_Answer):
    """One export."""

    success: Literal[True] = True
    export: ShownExport


class ExportsAnswer(_Answer):
    """A page of exports, newest first."""

    success: Literal[True] = True
    exports: list[ShownExport]
    next_cursor: str | None = Field(
        description="Pass as ?cursor= for the next page; null at the end."
    )


class JobAnswer(_Answer):
    """A job, secrets hidden. Times are milliseconds since the epoch."""

    id: str
    state: str
    type: str = Field(description="The job's name.")
    created_at: int
    processed_on: int = 0
    finished_on: int = 0
    attempts_made: int
    failed_reason: str = ""
    delay_reason: str = Field(
        default="", description="Why workers put the job back without running it."
    )
    returnvalue: Any = None
    progress: Any = Field(description="Of an export: whole per cent.")
    progress_details: Any = Field(
        default=None, description="Of an export: percent, rows, total and phase."
    )
    data: Any


class QueueProblem(_Answer):
    """What is wrong with a queue."""

    kind: str
    text: str


class ShownQueue(_Answer):
    """How a queue is."""

    name: str
    is_healthy: bool
    is_paused: bool
    waiting_count: int = Field(description="Jobs that are ready, with a priority or without.")
    active_count: int
    delayed_count: int
    waiting_children_count: int
    completed_count: int = Field(description="Completed jobs that are kept.")
    failed_count: int = Field(description="Failed jobs that are kept.")
    failed_lately_count: int = Field(description="Those of the last 15 minutes.")
    completed_last_minute: int | None = Field(
        description="In the last full minute, about; null if workers do not count."
    )
    failed_last_minute: int | None
    unlocked_count: int = Field(description="Active jobs without a lock: their worker died.")
    oldest_waiting_seconds: float | None
    worker_count: int | None = Field(description="Null if the server does not list connections.")
    paused_worker_count: int
    names_without_worker: dict[str, int]
    problems: list[QueueProblem]


class QueuesAnswer(_Answer):
    """The queues of the application."""

    success: Literal[True] = True
    overall_status: Literal["healthy", "degraded", "unhealthy"]
    timestamp: str
    broker: Literal["redis", "sqs"]
    is_connected: bool
    url: str | None = Field(description="The server's URL, without its password.")
    error: str | None
    queues: list[ShownQueue]

    @classmethod
    def of(cls, status: SystemStatus) -> "QueuesAnswer":
        """Show the status of the queues."""
        return cls(
            overall_status=status.overall_status,
            timestamp=iso(status.timestamp),
            broker="sqs" if status.broker == "sqs" else "redis",
            is_connected=status.is_connected,
            url=status.url,
            error=status.error,
            queues=[ShownQueue.model_validate(queue.as_dict()) for queue in status.queues],
        )


class Success(_Answer):
    """The event was taken in."""

    success: Literal[True] = True


class BurstAnswer(_Answer):
    """What a burst did."""

    success: Literal[True] = True
    started: int
    completed: int
    failed: int = Field(description="Attempts that failed; some jobs are run again later.")
    put_back: int = Field(description="Jobs that went back to the queue, no attempt counted.")
    not_run: int = Field(description="Jobs that failed or went back without being run.")
    seconds: float
    ended: str = Field(description="empty, max_jobs, max_seconds, held_back or stopped.")

    @classmethod
    def of(cls, report: BurstReport) -> "BurstAnswer":
        """Show a report."""
        return cls(
            started=report.started_count,
            completed=report.completed_count,
            failed=report.failed_count,
            put_back=report.put_back_count,
            not_run=len(report.not_run),
            seconds=round(report.seconds, 3),
            ended=report.ended.value,
        )


class CheckAnswer(_Answer):
    """One check of the health report."""

    status: Literal["healthy", "degraded", "unhealthy"]
    error: str = ""


class ChecksAnswer(_Answer):
    """The checks of the health report."""

    database: CheckAnswer
    queues: CheckAnswer


class HealthAnswer(_Answer):
    """The health report."""

    status: Literal["healthy", "degraded", "unhealthy"]
    timestamp: str
    checks: ChecksAnswer


class LiveAnswer(_Answer):
    """That the process answers."""

    status: Literal["alive"]


def created_export(record: ExportRecord, job_id: str | None) -> CreatedExport:
    """Show an export that was just asked for."""
    shown = CreatedExport(
        id=record.id,
        status=record.status,
        type=record.type,
        created_at=iso(record.created_at),
    )
    if job_id is not None:
        shown.job_id = job_id
    return shown


def shown_export(
    record: ExportRecord, *, file_url: str | None, expires_at: datetime | None
) -> ShownExport:
    """Show an export to its owner."""
    shown = ShownExport(
        id=record.id,
        type=record.type,
        status=record.status,
        file_url=file_url,
        created_at=iso(record.created_at),
    )
    if record.completed_at is not None:
        shown.completed_at = iso(record.completed_at)
    if expires_at is not None:
        shown.expires_at = iso(expires_at)
    return shown


def shown_ticket(issued: tuple[str, datetime], path: str) -> ShownTicket:
    """Show a ticket, and the addresses that it opens."""
    token, expires_at = issued
    query = urlencode({"ticket": token})
    return ShownTicket(
        token=token,
        expires_at=iso(expires_at),
        status_path=f"{path}?{query}",
        events_path=f"{path}/events?{query}",
    )


def iso(moment: datetime) -> str:
    """An instant as JavaScript's ``toISOString`` writes it."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"
