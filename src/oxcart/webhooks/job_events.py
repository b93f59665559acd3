"""Reports the ends of jobs: reads the event streams of queues and writes messages to the outbox.

Jobs end in Redis, without a transaction of the database. Every end is an entry of the queue's event
stream, whatever worker ran the job, Node's included. One process at a time reads a queue's stream,
under a lease, and writes the messages of a page of entries together with the place that it has read
up to. A message's id comes from the entry's id, so an entry that is read twice is one message.

The stream keeps about 10,000 entries: ends that leave it before they are read are not reported.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError

from oxcart import EventName, QueueEvent
from oxcart.errors import ConfigError
from oxcart.observe.redaction import Redactor
from oxcart.webhooks.jobs import QUEUE
from oxcart.webhooks.outbox import WebhookEvent, WebhookOutbox
from oxcart.webhooks.tables import cursor as cursors

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from oxcart import App, Job, JsonValue, Queue
    from oxcart.database.engine import Database

log = logging.getLogger("oxcart.webhooks")

PAGE = 500
LEASE = timedelta(seconds=30)
RENEW_SECONDS = 5.0
"""How often a reader renews its lease, and how often others try to get it."""
MAX_RESULT_CHARS = 4_096
"""Longer results, as JSON, are left out of the message."""
MAX_REASON_CHARS = 1_000
_TYPES = {EventName.COMPLETED: "job.completed", EventName.FAILED: "job.failed"}


@dataclass(frozen=True, slots=True)
class WatchedQueue:
    """A queue whose jobs' ends are reported.

    Attributes:
        queue: its name.
        names: the names of the jobs that are reported; empty: all of them.
    """

    queue: str
    names: frozenset[str] = frozenset()

    @classmethod
    def parse_all(cls, items: Iterable[str]) -> tuple[WatchedQueue, ...]:
        """Read a list of ``queue`` and ``queue:name``; several names of one queue add up.

        Raises:
            ConfigError: an item has no queue, an empty name, or is the queue of the deliveries.
        """
        found: dict[str, set[str]] = {}
        whole: set[str] = set()
        for item in items:
            queue, separator, name = item.partition(":")
            if not queue or (separator and not name):
                raise ConfigError(f"{item!r} is not a queue or queue:name")
            if queue == QUEUE:
                raise ConfigError(
                    f"the ends of jobs of the queue {QUEUE!r} cannot be reported: each report "
                    "would be such a job"
                )
            names = found.setdefault(queue, set())
            if name:
                names.add(name)
            else:
                whole.add(queue)
        return tuple(
            cls(queue, frozenset() if queue in whole else frozenset(names))
            for queue, names in found.items()
        )


class JobEvents:
    """Writes a message for each job of the watched queues that ends.

    Args:
        app: whose queues.
        database: where the outbox is, and the places that were read up to.
        outbox: writes the messages.
        watched: the queues.
    """

    def __init__(
        self,
        app: App,
        database: Database,
        outbox: WebhookOutbox,
        watched: Sequence[WatchedQueue],
    ) -> None:
        self._app = app
        self._readers = [_Reader(app, database, outbox, item) for item in watched]

    async def look(self) -> int:
        """Read what was added to the streams.

        Returns:
            How many messages were written.

        Raises:
            StoreUnavailable: Redis cannot be reached.
            DatabaseUnavailable: the database cannot be reached.
        """
        return sum([await reader.look() for reader in self._readers])


class _Reader:
    """Reads the stream of one queue while it has the lease."""

    def __init__(
        self, app: App, database: Database, outbox: WebhookOutbox, watched: WatchedQueue
    ) -> None:
        self._app = app
        self._database = database
        self._outbox = outbox
        self._watched = watched
        self._owner = uuid.uuid4().hex
        self._after: str | None = None
        self._renew_at = float("-inf")

    async def look(self) -> int:
        if time.monotonic() >= self._renew_at:
            self._renew_at = time.monotonic() + RENEW_SECONDS
            self._after = await self._lease()
        written_count = 0
        queue = self._app.queue(self._watched.queue)
        while self._after is not None:
            found = await queue.get_events(after=self._after, count=PAGE)
            if not found:
                break
            messages = [
                message for event in found if (message := await self._message_of(queue, event))
            ]
            written_count += await self._write(messages, found[-1].id)
            if len(found) < PAGE:
                break
        return written_count

    async def _lease(self) -> str | None:
        """Get or renew the lease; the place to read on from, or ``None`` if another has it."""
        try:
            async with self._database.write() as connection:
                return await connection.run_sync(_lease, self._watched.queue, self._owner)
        except IntegrityError:  # another process was quicker by a moment
            return None

    async def _write(self, messages: Sequence[WebhookEvent], last_id: str) -> int:
        def write(connection: Connection) -> int | None:
            moved = (
                update(cursors)
                .where(cursors.c.queue == self._watched.queue, cursors.c.owner == self._owner)
                .values(event_id=last_id)
            )
            if connection.execute(moved).rowcount != 1:
                return None  # another process took over
            return sum(self._outbox.write(connection, message) is not None for message in messages)

        async with self._database.write() as connection:
            count = await connection.run_sync(write)
        self._after = None if count is None else last_id
        return count or 0

    async def _message_of(self, queue: Queue, event: QueueEvent) -> WebhookEvent | None:
        type_ = _TYPES.get(EventName(event.name)) if event.name in set(EventName) else None
        if type_ is None or event.job_id is None:
            return None
        job = await queue.get_job(event.job_id)
        names = self._watched.names
        if names and (job is None or job.name not in names):
            # Without its job an entry has no name: retention must keep jobs for a few seconds.
            if job is None:
                fact = {"queue": queue.name, "job_id": event.job_id}
                log.warning("webhook.job_removed", extra=fact)
            return None
        text = f"{queue.name}\n{event.job_id}\n{event.id}"
        return WebhookEvent(
            type=type_,
            id=f"msg_{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:32]}",
            data=self._data_of(queue, event, job),
            occurred_at=datetime.fromtimestamp(int(event.id.partition("-")[0]) / 1000, UTC),
        )

    def _data_of(
        self, queue: Queue, event: QueueEvent, job: Job[Any] | None
    ) -> dict[str, JsonValue]:
        data: dict[str, JsonValue] = {"queue": queue.name, "id": event.job_id}
        if job is None:
            return data
        definition = self._app.registry.get((queue.name, job.name))
        redactor = Redactor(job.data, definition.secrets if definition else ())
        data |= {"name": redactor.shown_text(job.name), "attemptsMade": job.attempts_made}
        if event.name == EventName.COMPLETED:
            result = redactor.shown(job.return_value)
            if len(json.dumps(result)) <= MAX_RESULT_CHARS:
                data["result"] = result
        else:
            reason = redactor.shown_text(str(event.data.get("failedReason", "")))
            data["failedReason"] = reason[:MAX_REASON_CHARS]
        return data


def _lease(connection: Connection, queue: str, owner: str) -> str | None:
    now = datetime.now(UTC)
    leased = (
        update(cursors)
        .where(
            cursors.c.queue == queue,
            or_(
                cursors.c.owner == owner,
                cursors.c.leased_until.is_(None),
                cursors.c.leased_until < now,
            ),
        )
        .values(owner=owner, leased_until=now + LEASE)
    )
    place = select(cursors.c.event_id).where(cursors.c.queue == queue)
    if connection.execute(leased).rowcount == 1:
        return str(connection.execute(place).scalar_one())
    if connection.execute(place).first() is not None:
        return None
    # The first time: ends from now on are reported.
    event_id = f"{round(now.timestamp() * 1000)}-0"
    connection.execute(
        cursors.insert().values(
            queue=queue, event_id=event_id, owner=owner, leased_until=now + LEASE
        )
    )
    return event_id
