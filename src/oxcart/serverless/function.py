"""An application's function: its queues in SQS, ready to be run when Lambda calls."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Self

from oxcart._model.options import JobOptions
from oxcart.app import App
from oxcart.app_worker import Prepared
from oxcart.errors import ConfigError
from oxcart.serverless.batch import Batch
from oxcart.serverless.budget import Budget
from oxcart.serverless.records import LambdaContext, Record, is_timer, read_event
from oxcart.serverless.running import JobRunner
from oxcart.serverless.settling import Settler
from oxcart.sqs import SqsBroker
from oxcart.sqs.addresses import QUEUES_VARIABLE

log = logging.getLogger("oxcart.serverless")

OnTimer = Callable[[], Awaitable[object]]


class Function:
    """Runs batches of an application's jobs.

    Args:
        app: whose jobs.
        broker: where they are.
        places: how many of each queue's jobs run at a time in one function; default: all of a
            batch.
        on_timer: awaited when a timer calls the function.

    Raises:
        ConfigError: a queue has no job, or no dead-letter queue, or a job asks for a resource that
            there is not.
    """

    def __init__(
        self,
        app: App,
        broker: SqsBroker,
        *,
        places: Mapping[str, int] | None = None,
        on_timer: OnTimer | None = None,
    ) -> None:
        declared = {queue for queue, _ in app.registry}
        queues = sorted(declared & broker.addresses.keys())
        if not queues:
            raise ConfigError(
                f"{QUEUES_VARIABLE} names none of the queues that have jobs: "
                f"{', '.join(sorted(declared)) or 'there is none'}"
            )
        self._places = dict.fromkeys(queues, MOST_PLACES) | dict(places or {})
        self._app = app
        self._broker = broker
        self._on_timer = on_timer
        self._settlers = {
            broker.addresses[queue].sqs_name: Settler(broker.addresses[queue], broker.client)
            for queue in queues
        }
        self._queue_of = {broker.addresses[queue].sqs_name: queue for queue in queues}
        self._prepared: Prepared = app.prepare(
            queues, places=sum(self._places[queue] for queue in queues)
        )

    async def open(self) -> Self:
        """Open the resources that the handlers ask for.

        Raises:
            ResourceError: one could not be opened.
        """
        await self._prepared.surroundings.supply.open()
        return self

    async def close(self) -> None:
        """Close the resources and the threads."""
        await self._prepared.surroundings.supply.close()
        self._prepared.surroundings.threads.close()

    async def call(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Run what an event brings.

        Returns:
            For messages, which of them come back (``batchItemFailures``).

        Raises:
            ConfigError: the event is not one of SQS, or of a queue that is not known; all its
                messages come back.
        """
        if is_timer(event):
            if self._on_timer is not None:
                await self._on_timer()
            return {}
        records = read_event(event)
        budget = Budget.of(context.get_remaining_time_in_millis() / 1_000)
        left: list[Record] = []
        for sqs_name in dict.fromkeys(record.sqs_name for record in records):
            of_queue = [record for record in records if record.sqs_name == sqs_name]
            left += await self._run(sqs_name, of_queue, budget)
        log.info("serverless.batch_done jobs=%d left=%d", len(records), len(left))
        return {"batchItemFailures": [{"itemIdentifier": record.message_id} for record in left]}

    async def _run(self, sqs_name: str, records: Sequence[Record], budget: Budget) -> list[Record]:
        queue = self._queue_of.get(sqs_name)
        if queue is None:
            raise ConfigError(
                f"the function was called with messages of {sqs_name!r}, which is no queue with "
                f"jobs here; {QUEUES_VARIABLE} knows {', '.join(sorted(self._queue_of))}"
            )
        runner = JobRunner(
            queue,
            self._prepared.handlers[queue],
            defaults=self._defaults(queue),
            prefix=self._broker.prefix,
        )
        batch = Batch(
            queue, runner, self._settlers[sqs_name], places=self._places[queue], budget=budget
        )
        return await batch.run(records)

    def _defaults(self, queue: str) -> dict[str, JobOptions]:
        return {
            name: definition.defaults
            for (of_queue, name), definition in self._app.registry.items()
            if of_queue == queue
        }


MOST_PLACES = 10
"""How many jobs of a queue run at a time unless told otherwise: a batch as Lambda brings it."""
