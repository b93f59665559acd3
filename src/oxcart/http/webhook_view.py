"""The deliveries of webhooks as operators see them over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from oxcart.webhooks.outbox import iso

if TYPE_CHECKING:
    from oxcart.webhooks.records import Attempt, Delivery

MAX_NAME_CHARS = 40
MAX_PAGE = 200


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class DeliveriesQuery(BaseModel):
    """Which deliveries to list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: Literal["pending", "queued", "delivered", "failed", "stopped"] | None = None
    endpoint: Annotated[str | None, Field(max_length=MAX_NAME_CHARS)] = None
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50


class ShownAttempt(_Answer):
    """One attempt."""

    number: int
    started_at: str
    duration_ms: int
    status: int | None = Field(description="The HTTP status; null without an answer.")
    error: str | None = Field(description="Why there was no answer.")
    answer: str | None = Field(description="The beginning of the answer's body.")

    @classmethod
    def of(cls, attempt: Attempt) -> ShownAttempt:
        """Show an attempt."""
        return cls(
            number=attempt.number,
            started_at=iso(attempt.started_at),
            duration_ms=attempt.duration_ms,
            status=attempt.status,
            error=attempt.error,
            answer=attempt.answer,
        )


class ShownDelivery(_Answer):
    """The delivery of one message to one endpoint."""

    id: str
    message_id: str = Field(description="The header webhook-id, the same at every attempt.")
    type: str
    endpoint: str
    state: str
    attempts: int = Field(description="Attempts since the message was last asked for.")
    created_at: str
    due_at: str | None = Field(description="When the next attempt is due; null after the end.")
    ended_at: str | None
    error: str | None = Field(description="The last attempt's error.")
    log: list[ShownAttempt] = Field(default_factory=list)

    @classmethod
    def of(cls, item: Delivery) -> ShownDelivery:
        """Show a delivery."""
        return cls(
            id=item.id,
            message_id=item.message_id,
            type=item.type,
            endpoint=item.endpoint,
            state=item.state.value,
            attempts=item.attempts,
            created_at=iso(item.created_at),
            due_at=iso(item.due_at) if item.state.is_open else None,
            ended_at=None if item.ended_at is None else iso(item.ended_at),
            error=item.error,
            log=[ShownAttempt.of(entry) for entry in item.log],
        )


class DeliveriesAnswer(_Answer):
    """Deliveries, newest first."""

    success: Literal[True] = True
    deliveries: list[ShownDelivery]


class DeliveryAnswer(_Answer):
    """One delivery."""

    success: Literal[True] = True
    delivery: ShownDelivery
