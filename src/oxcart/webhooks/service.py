"""Webhooks of an application: outbox, delivery jobs and relay, wired together."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from oxcart.webhooks.client import WebhookClient
from oxcart.webhooks.job_events import JobEvents
from oxcart.webhooks.jobs import DeliveryJobs
from oxcart.webhooks.outbox import WebhookOutbox
from oxcart.webhooks.records import DeliveryRecords
from oxcart.webhooks.relay import KEEP, Relay
from oxcart.webhooks.schedule import RetrySchedule

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import timedelta

    from oxcart import App
    from oxcart.database.engine import Database
    from oxcart.webhooks.addresses import AddressPolicy
    from oxcart.webhooks.endpoints import Endpoints
    from oxcart.webhooks.job_events import WatchedQueue


class Webhooks:
    """Webhooks of an application.

    Args:
        app: where the delivery job is declared, on a queue of its own.
        database: where the outbox and the delivery log are.
        endpoints: the receivers.
        policy: which addresses may be reached.
        schedule: the waits between attempts.
        keep: for how long deliveries that ended are kept.
        watched: the queues the ends of whose jobs are reported.
        client: sends the messages; by default one with the policy.

    Attributes:
        endpoints: the receivers.
        outbox: writes messages in the caller's transaction.
        records: the deliveries and their log.
        jobs: the delivery job.
        job_events: writes messages for jobs that end.
        relay: moves deliveries from the database to the queue.
    """

    def __init__(
        self,
        app: App,
        database: Database,
        endpoints: Endpoints,
        policy: AddressPolicy,
        *,
        schedule: RetrySchedule | None = None,
        keep: timedelta = KEEP,
        watched: Sequence[WatchedQueue] = (),
        client: WebhookClient | None = None,
    ) -> None:
        self.endpoints = endpoints
        self.outbox = WebhookOutbox(endpoints)
        self.records = DeliveryRecords(database)
        self.jobs = DeliveryJobs(
            app,
            records=self.records,
            endpoints=endpoints,
            client=client or WebhookClient(policy),
            schedule=schedule or RetrySchedule.parse(),
        )
        self.job_events = JobEvents(app, database, self.outbox, watched)
        self.relay = Relay(self.jobs, self.records, self.job_events, keep=keep)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Move deliveries from the outbox to the queue for as long as the block lasts."""
        async with asyncio.TaskGroup() as tasks:
            relaying = tasks.create_task(self.relay.run())
            try:
                yield
            finally:
                relaying.cancel()
