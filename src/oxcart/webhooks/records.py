"""The rows of deliveries: reading, moving, logging attempts, sending again, pruning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, or_, select, update

from oxcart.database.texts import is_storable, storable
from oxcart.webhooks.errors import DeliveryNotFound
from oxcart.webhooks.states import DeliveryState
from oxcart.webhooks.tables import attempt as attempts
from oxcart.webhooks.tables import delivery as deliveries
from oxcart.webhooks.tables import message as messages

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Select

    from oxcart.database.engine import Database
    from oxcart.webhooks.client import Answer

MAX_PAGE = 200
MAX_ERROR_CHARS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt of a delivery, as the log has it.

    Attributes:
        number: from 1, over all rounds.
        started_at: when it began.
        duration_ms: how long it took.
        status: the HTTP status, or ``None`` without an answer.
        error: why there was no answer.
        answer: the beginning of the answer's body.
    """

    number: int
    started_at: datetime
    duration_ms: int
    status: int | None = None
    error: str | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The delivery of one message to one endpoint.

    Attributes:
        id: the delivery's id.
        message_id: the message's id, the same for every endpoint and every attempt.
        type: the event's type.
        body: the message, as it is sent.
        endpoint: the endpoint's name.
        state: the delivery's state.
        round: from 1; one more whenever the delivery was given to the queue anew.
        attempts: attempts since the delivery was last asked for.
        due_at: when the next attempt is due.
        created_at: when the message was written.
        ended_at: when the delivery ended, or ``None``.
        error: the last attempt's error, or ``None``.
        log: the attempts, if they were asked for.
    """

    id: str
    message_id: str
    type: str
    body: str
    endpoint: str
    state: DeliveryState
    round: int
    attempts: int
    due_at: datetime
    created_at: datetime
    ended_at: datetime | None = None
    error: str | None = None
    log: tuple[Attempt, ...] = field(default=())

    @property
    def job_id(self) -> str:
        """The id of the job that delivers it in this round."""
        return f"{self.id}-{self.round}"


class DeliveryRecords:
    """Reads and moves the rows.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, delivery_id: str, *, with_log: bool = False) -> Delivery | None:
        """Return a delivery, or ``None``.

        Args:
            delivery_id: its id.
            with_log: read the attempts too.
        """
        if not is_storable(delivery_id):
            return None
        async with self._database.read() as connection:
            found = await connection.execute(_select().where(deliveries.c.id == delivery_id))
            row = found.first()
            if row is None:
                return None
            if not with_log:
                return _as_delivery(row)
            query = select(attempts).where(attempts.c.delivery_id == delivery_id)
            log = await connection.execute(query.order_by(attempts.c.number))
            return _as_delivery(row, [_as_attempt(entry) for entry in log])

    async def find(
        self,
        *,
        state: DeliveryState | None = None,
        endpoint: str | None = None,
        limit: int = MAX_PAGE,
    ) -> list[Delivery]:
        """Return deliveries, newest first.

        Args:
            state: only these.
            endpoint: only those of this endpoint.
            limit: how many at most.
        """
        query = _select()
        if state is not None:
            query = query.where(deliveries.c.state == state.value)
        if endpoint is not None:
            query = query.where(deliveries.c.endpoint == storable(endpoint))
        query = query.order_by(deliveries.c.created_at.desc(), deliveries.c.id).limit(limit)
        async with self._database.read() as connection:
            return [_as_delivery(row) for row in await connection.execute(query)]

    async def pending(self, *, limit: int) -> list[Delivery]:
        """Return deliveries that are not in the queue yet, oldest first."""
        query = _select().where(deliveries.c.state == DeliveryState.PENDING.value)
        query = query.order_by(deliveries.c.due_at, deliveries.c.id).limit(limit)
        async with self._database.read() as connection:
            return [_as_delivery(row) for row in await connection.execute(query)]

    async def overdue(
        self, *, by: timedelta, limit: int, after: Delivery | None = None
    ) -> list[Delivery]:
        """Return queued deliveries whose attempt ought to have been made, oldest first.

        Args:
            by: how long ago.
            limit: how many at most.
            after: only deliveries behind this one.
        """
        query = _select().where(
            deliveries.c.state == DeliveryState.QUEUED.value,
            deliveries.c.due_at < datetime.now(UTC) - by,
        )
        if after is not None:
            is_same = and_(deliveries.c.due_at == after.due_at, deliveries.c.id > after.id)
            query = query.where(or_(deliveries.c.due_at > after.due_at, is_same))
        query = query.order_by(deliveries.c.due_at, deliveries.c.id).limit(limit)
        async with self._database.read() as connection:
            return [_as_delivery(row) for row in await connection.execute(query)]

    async def mark_queued(self, moved: Sequence[Delivery]) -> None:
        """Note that the jobs of these deliveries are in the queue."""
        async with self._database.write() as connection:
            for item in moved:
                await connection.execute(
                    update(deliveries)
                    .where(
                        deliveries.c.id == item.id,
                        deliveries.c.round == item.round,
                        deliveries.c.state == DeliveryState.PENDING.value,
                    )
                    .values(state=DeliveryState.QUEUED.value)
                )

    async def requeue(self, item: Delivery) -> bool:
        """Put a delivery whose job is lost back to PENDING, for the relay to queue it again.

        Returns:
            Whether it was still queued in the same round.
        """
        statement = (
            update(deliveries)
            .where(
                deliveries.c.id == item.id,
                deliveries.c.round == item.round,
                deliveries.c.state == DeliveryState.QUEUED.value,
                deliveries.c.due_at == item.due_at,
            )
            .values(state=DeliveryState.PENDING.value, round=item.round + 1)
        )
        async with self._database.write() as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def redeliver(self, delivery_id: str) -> Delivery:
        """Have a delivery sent again from the first attempt on, with the same message id.

        Raises:
            DeliveryNotFound: there is none with this id.
        """
        now = datetime.now(UTC)
        if is_storable(delivery_id):
            statement = (
                update(deliveries)
                .where(deliveries.c.id == delivery_id)
                .values(
                    state=DeliveryState.PENDING.value,
                    round=deliveries.c.round + 1,
                    attempts=0,
                    due_at=now,
                    ended_at=None,
                    error=None,
                )
            )
            async with self._database.write() as connection:
                await connection.execute(statement)
        found = await self.get(delivery_id)
        if found is None:
            raise DeliveryNotFound(delivery_id)
        return found

    async def note_attempt(
        self,
        item: Delivery,
        answer: Answer,
        *,
        started_at: datetime,
        state: DeliveryState,
        wait: timedelta | None,
    ) -> None:
        """Log an attempt and move the delivery, in one transaction.

        Args:
            item: the delivery as it was read before the attempt.
            answer: what the attempt came to.
            started_at: when it began.
            state: the delivery's state from now on.
            wait: how long until the next attempt, if there is one.
        """
        now = datetime.now(UTC)
        error = None if answer.is_success else storable(answer.reason)[:MAX_ERROR_CHARS]
        # The round guards against a delivery that was sent again meanwhile, by hand.
        move = (
            update(deliveries)
            .where(deliveries.c.id == item.id, deliveries.c.round == item.round)
            .values(
                state=state.value,
                attempts=deliveries.c.attempts + 1,
                due_at=now + (wait or timedelta()),
                ended_at=None if state.is_open else now,
                error=error,
            )
        )
        entry = {
            "delivery_id": item.id,
            "started_at": started_at,
            "duration_ms": answer.duration_ms,
            "status": answer.status,
            "error": None if answer.error is None else error,
            "answer": storable(answer.text) or None,
        }
        async with self._database.write() as connection:
            # Before the number is read: two attempts at once take turns here.
            if (await connection.execute(move)).rowcount == 1:
                await connection.run_sync(_log, entry)

    async def prune(self, *, before: datetime, limit: int) -> int:
        """Delete messages all of whose deliveries ended before an instant.

        Args:
            before: the instant.
            limit: how many messages at most.

        Returns:
            How many messages were deleted.
        """
        recent = select(deliveries.c.id).where(
            deliveries.c.message_id == messages.c.id,
            or_(deliveries.c.ended_at.is_(None), deliveries.c.ended_at >= before),
        )
        old = select(messages.c.id).where(messages.c.created_at < before, ~recent.exists())
        async with self._database.write() as connection:
            ids = list(await connection.scalars(old.order_by(messages.c.created_at).limit(limit)))
            theirs = select(deliveries.c.id).where(deliveries.c.message_id.in_(ids))
            await connection.execute(delete(attempts).where(attempts.c.delivery_id.in_(theirs)))
            await connection.execute(delete(deliveries).where(deliveries.c.message_id.in_(ids)))
            await connection.execute(delete(messages).where(messages.c.id.in_(ids)))
        return len(ids)


def _select() -> Select[Any]:
    return select(deliveries, messages.c.type, messages.c.body).join(
        messages, messages.c.id == deliveries.c.message_id
    )


def _log(connection: Connection, entry: dict[str, Any]) -> None:
    last = select(func.max(attempts.c.number)).where(attempts.c.delivery_id == entry["delivery_id"])
    number = (connection.execute(last).scalar_one() or 0) + 1
    connection.execute(attempts.insert().values(number=number, **entry))


def _as_delivery(row: Row[Any], log: Sequence[Attempt] = ()) -> Delivery:
    return Delivery(
        id=row.id,
        message_id=row.message_id,
        type=row.type,
        body=row.body,
        endpoint=row.endpoint,
        state=DeliveryState(row.state),
        round=row.round,
        attempts=row.attempts,
        due_at=row.due_at,
        created_at=row.created_at,
        ended_at=row.ended_at,
        error=row.error,
        log=tuple(log),
    )


def _as_attempt(row: Row[Any]) -> Attempt:
    return Attempt(
        number=row.number,
        started_at=row.started_at,
        duration_ms=row.duration_ms,
        status=row.status,
        error=row.error,
        answer=row.answer,
    )
