"""The job that delivers a message to an endpoint, attempt by attempt."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from oxcart import Fail, JobSpec, Retention, Retry, fixed
from oxcart.webhooks.client import Answer
from oxcart.webhooks.states import DeliveryState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from oxcart import App, Queue
    from oxcart.webhooks.client import WebhookClient
    from oxcart.webhooks.endpoints import Endpoints
    from oxcart.webhooks.records import Delivery, DeliveryRecords
    from oxcart.webhooks.schedule import RetrySchedule

log = logging.getLogger("oxcart.webhooks")

QUEUE = "webhook"
_ATTEMPTS = 1_000
"""The schedule ends a delivery, not the job: attempts that fail because the database is away
count here alone."""


class DeliveryPayload(msgspec.Struct, rename="camel", frozen=True):
    """The payload of the job."""

    delivery_id: str
    round: int


class DeliveryJobs:
    """Declares the job on an app, queues deliveries and carries them out.

    Args:
        app: where the job is declared.
        records: the rows of the deliveries.
        endpoints: the receivers.
        client: sends the messages.
        schedule: the waits between attempts.
    """

    def __init__(
        self,
        app: App,
        *,
        records: DeliveryRecords,
        endpoints: Endpoints,
        client: WebhookClient,
        schedule: RetrySchedule,
    ) -> None:
        self._app = app
        self._records = records
        self._endpoints = endpoints
        self._client = client
        self._schedule = schedule
        self._definition = app.job(
            "deliver",
            queue=QUEUE,
            attempts=_ATTEMPTS,
            backoff=fixed("30s"),
            timeout="2m",
            keep_completed=Retention(count=1_000, age="1d"),
            keep_failed=Retention(count=1_000, age="7d"),
        )(self.deliver)

    @property
    def queue(self) -> Queue:
        """The queue of the deliveries."""
        return self._app.queue(QUEUE)

    async def enqueue(self, deliveries: Sequence[Delivery]) -> None:
        """Queue deliveries. Doing it twice queues them once: a job's id has its delivery's.

        Raises:
            StoreError: the queue cannot be reached.
        """
        await self.queue.add_many([self._spec(delivery) for delivery in deliveries])

    def _spec(self, delivery: Delivery) -> JobSpec:
        payload = DeliveryPayload(delivery_id=delivery.id, round=delivery.round)
        return self._definition.options(job_id=delivery.job_id).spec(payload)

    async def deliver(self, payload: DeliveryPayload, /) -> str:
        """Make one attempt; runs in a worker.

        Returns:
            The delivery's state.

        Raises:
            Retry: the attempt failed, and the next one is due later.
            Fail: it was the last one, or the endpoint wants no more.
        """
        delivery = await self._records.get(payload.delivery_id)
        if delivery is None:
            return "deleted"
        if delivery.round != payload.round or not delivery.state.is_open:
            # Sent again by hand, or ended by an attempt whose worker died before it said so.
            return delivery.state.value
        started_at = datetime.now(UTC)
        answer = await self._send(delivery)
        wait = self._schedule.wait_after(
            delivery.attempts + 1, retry_after_seconds=answer.retry_after_seconds
        )
        state = _state_after(answer, wait)
        await self._records.note_attempt(
            delivery, answer, started_at=started_at, state=state, wait=wait
        )
        _log_attempt(delivery, answer, state, wait)
        if state is DeliveryState.QUEUED:
            raise Retry(answer.reason, after=wait)
        if state is not DeliveryState.DELIVERED:
            raise Fail(answer.reason)
        return state.value

    async def _send(self, delivery: Delivery) -> Answer:
        endpoint = self._endpoints.get(delivery.endpoint)
        if endpoint is None:
            # Perhaps only this worker's settings lack it, during a rolling deploy.
            return Answer(error=f"there is no endpoint {delivery.endpoint!r} in the settings")
        return await self._client.send(endpoint, delivery.message_id, delivery.body.encode())


def _state_after(answer: Answer, wait: timedelta | None) -> DeliveryState:
    if answer.is_success:
        return DeliveryState.DELIVERED
    if answer.is_gone:
        return DeliveryState.STOPPED
    return DeliveryState.FAILED if wait is None else DeliveryState.QUEUED


def _log_attempt(
    delivery: Delivery, answer: Answer, state: DeliveryState, wait: timedelta | None
) -> None:
    fact = {
        "delivery_id": delivery.id,
        "message_id": delivery.message_id,
        "type": delivery.type,
        "endpoint": delivery.endpoint,
        "attempts": delivery.attempts + 1,
        "status": answer.status,
        "duration_ms": answer.duration_ms,
    }
    if state is DeliveryState.DELIVERED:
        log.info("webhook.delivered", extra=fact)
    elif state is DeliveryState.QUEUED and wait is not None:
        extra = {**fact, "reason": answer.reason, "retry_in_seconds": round(wait.total_seconds())}
        log.warning("webhook.attempt_failed", extra=extra)
    elif state is DeliveryState.STOPPED:
        log.warning("webhook.endpoint_gone", extra=fact)
    else:
        log.error("webhook.delivery_failed", extra={**fact, "reason": answer.reason})
