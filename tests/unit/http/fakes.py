"""Stand-ins for the layers below, for tests of the edge alone.

The integration tests run the same routes on the real system.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from oxcart import JobState, QueueFigures, WorkerInfo
from oxcart._auth.api_keys import Scope, make_key
from oxcart.database.api_keys import ApiKey
from oxcart.database.types import ExportStatus
from oxcart.database.users import User
from oxcart.exports.errors import ExportNotFound, LinkInvalid, UnknownExportType
from oxcart.exports.records import ExportRecord
from oxcart.http import create_app
from oxcart.http.auth import Authenticator
from oxcart.http.live.access import Tickets
from oxcart.http.live.tickets import TicketSigner
from oxcart.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from oxcart.system import System

OPERATOR_KEY = "operator-key-7f3K9xQ2mZ8vR4tB6nW1"
SERVICE_KEY = "service-key-7f3K9xQ2mZ8vR4tB6nW1cY"
ADA = User(id="user-ada", email="ada@example.org", name="Ada", role="STUDENT")
BOB = User(id="user-bob", email="bob@example.org", name="Bob", role="STUDENT")
CREATED_AT = datetime(2026, 3, 4, 5, 6, 7, 89_000, tzinfo=UTC)


def make_settings(**changes: Any) -> Settings:
    """Settings with one key of each role, where nothing is let in without a key."""
    defaults: dict[str, Any] = {
        "env": "test",
        "operator_keys": (OPERATOR_KEY,),
        "service_keys": (SERVICE_KEY,),
        "signing_secret": "a-secret-for-tests-that-is-long-enough",
    }
    return Settings(**(defaults | changes))


def make_record(**changes: Any) -> ExportRecord:
    """A pending export of Ada's."""
    defaults: dict[str, Any] = {
        "id": "export-ada",
        "user_id": ADA.id,
        "type": "USER_DATA",
        "status": ExportStatus.PENDING,
        "created_at": CREATED_AT,
    }
    return ExportRecord(**(defaults | changes))


@dataclass
class FakeUsers:
    """Ada and Bob; the first is who development acts for."""

    known: tuple[User, ...] = (ADA, BOB)

    async def get(self, user_id: str) -> User | None:
        return next((user for user in self.known if user.id == user_id), None)

    async def find_by_email(self, email: str) -> User | None:
        return next((user for user in self.known if user.email == email), None)

    async def default_user(self) -> User | None:
        return next(iter(self.known), None)


def make_api_key(*scopes: Scope, **changes: Any) -> tuple[ApiKey, str]:
    """A key of the database with these scopes, and its text."""
    new = make_key()
    defaults: dict[str, Any] = {
        "id": new.id,
        "name": "monitor",
        "hash": new.hash,
        "scopes": frozenset(scopes),
        "created_at": CREATED_AT,
    }
    return ApiKey(**(defaults | changes)), new.text


@dataclass
class FakeKeys:
    """Keys of the database, or a database that does not answer."""

    known: dict[str, ApiKey] = field(default_factory=dict)
    error: Exception | None = None
    used: list[str] = field(default_factory=list)

    def put(self, *scopes: Scope, **changes: Any) -> str:
        """Add a key; gives its text."""
        key, text = make_api_key(*scopes, **changes)
        self.known[key.id] = key
        return text

    async def get(self, key_id: str) -> ApiKey | None:
        if self.error is not None:
            raise self.error
        return self.known.get(key_id)

    async def record_use(self, key_id: str) -> None:
        self.used.append(key_id)


@dataclass
class FakeExports:
    """Exports that know one record and raise what they are told to."""

    record: ExportRecord = field(default_factory=make_record)
    job_id: str | None = "export-ada"
    error: Exception | None = None
    events: list[tuple[str, str, Any, str | None]] = field(default_factory=list)
    requested: list[tuple[str, str, Any]] = field(default_factory=list)
    next_cursor: str | None = None
    keys: list[str | None] = field(default_factory=list)

    async def request_export(
        self,
        user: User,
        type: str,
        filters: Mapping[str, Any] | None,
        *,
        idempotency_key: str | None = None,
    ) -> SimpleNamespace:
        self._raise()
        if type != "USER_DATA":
            raise UnknownExportType(type, known=["USER_DATA"])
        self.requested.append((user.id, type, filters))
        self.keys.append(idempotency_key)
        return SimpleNamespace(record=self.record, job_id=self.job_id, is_repeated=False)

    async def count_by_status(self) -> dict[ExportStatus, int]:
        self._raise()
        return {self.record.status: 1}

    async def list_exports(
        self, user_id: str, *, status: str | None, cursor: str | None, limit: int
    ) -> SimpleNamespace:
        self._raise()
        records = (self.record,) if user_id == self.record.user_id else ()
        return SimpleNamespace(records=records, next_cursor=self.next_cursor)

    async def get_export(self, export_id: str, user_id: str | None) -> ExportRecord:
        self._raise()
        if export_id != self.record.id or user_id not in (None, self.record.user_id):
            raise ExportNotFound(export_id)
        return self.record

    def signed_url(self, record: ExportRecord) -> str | None:
        return None

    def expires_at(self, record: ExportRecord) -> datetime | None:
        return None

    async def open_any_file(self, export_id: str) -> SimpleNamespace:
        self._raise()
        raise LinkInvalid

    async def open_file(self, export_id: str, **link: str | None) -> SimpleNamespace:
        self._raise()
        raise LinkInvalid

    async def report_event(
        self, event: str, job_id: str, *, result: Any, error: str | None
    ) -> ExportRecord | None:
        self._raise()
        self.events.append((event, job_id, result, error))
        return self.record if job_id == self.record.id else None

    def _raise(self) -> None:
        if self.error is not None:
            raise self.error


def make_job(**changes: Any) -> SimpleNamespace:
    """A waiting export job of Ada's."""
    defaults: dict[str, Any] = {
        "id": "export-ada",
        "name": "USER_DATA",
        "queue": "export",
        "data": {"exportJobId": "export-ada", "userId": ADA.id, "type": "USER_DATA"},
        "created_at_ms": 1_700_000_000_000,
        "processed_at_ms": None,
        "finished_at_ms": None,
        "attempts_made": 0,
        "progress": 0,
        "return_value": None,
        "failed_reason": None,
        "delay_reason": None,
    }
    return SimpleNamespace(**(defaults | changes))


@dataclass
class FakeQueue:
    """A queue with some jobs in it, or one that does not answer."""

    jobs: dict[str, SimpleNamespace] = field(default_factory=dict)
    error: Exception | None = None
    name: str = "email"
    broker: str = "none"
    asked: list[str] = field(default_factory=list)

    async def get_job(self, job_id: str) -> SimpleNamespace | None:
        self.asked.append(job_id)
        if self.error is not None:
            raise self.error
        return self.jobs.get(job_id)

    async def get_figures(self) -> QueueFigures:
        return QueueFigures(counts={JobState.WAITING: len(self.jobs)})

    async def get_workers(self) -> list[WorkerInfo]:
        return []

    async def get_state(self, job_id: str) -> JobState:
        return JobState.WAITING if job_id in self.jobs else JobState.UNKNOWN


@dataclass
class FakeApp:
    """The two queues and what is known of their jobs."""

    queues: dict[str, FakeQueue] = field(
        default_factory=lambda: {"email": FakeQueue(), "export": FakeQueue(name="export")}
    )
    registry: dict[tuple[str, str], SimpleNamespace] = field(default_factory=dict)

    def queue(self, name: str) -> FakeQueue:
        return self.queues[name]

    def put(self, job: SimpleNamespace) -> None:
        self.queues[job.queue].jobs[job.id] = job


@dataclass
class FakeDatabase:
    """A database that answers, or does not."""

    error: Exception | None = None

    async def ping(self) -> float:
        if self.error is not None:
            raise self.error
        return 0.001


@dataclass
class FakeSystem:
    """Everything that the routes use."""

    settings: Settings = field(default_factory=make_settings)
    app: FakeApp = field(default_factory=FakeApp)
    exports: FakeExports = field(default_factory=FakeExports)
    database: FakeDatabase = field(default_factory=FakeDatabase)
    users: FakeUsers = field(default_factory=FakeUsers)
    keys: FakeKeys = field(default_factory=FakeKeys)


def make_api(system: FakeSystem) -> FastAPI:
    """The real application on a fake system."""
    api = create_app(cast("System", system))
    api.state.authenticator = Authenticator(system.settings, system.users, keys=system.keys)
    signer = TicketSigner([b"a-secret"], lifetime=timedelta(minutes=1))
    api.state.tickets = Tickets(signer, system.users)
    return api
