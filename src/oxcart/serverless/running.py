"""Running one message's job with the engine's own executor."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import random

from oxcart._engine.executor import Executor
from oxcart._engine.failure_hooks import start_hook
from oxcart._engine.handler import Handlers
from oxcart._engine.hold import Hold
from oxcart._engine.running_job import CancelReason, RunningJob
from oxcart._model.job import JobRecord
from oxcart._model.options import PLAIN_OPTIONS, JobOptions
from oxcart._model.outcome import Failed, Failure, GivenBack, Outcome, decide
from oxcart._store.calls.stepping import TakenJob
from oxcart._wire import fields
from oxcart._wire.keys import QueueKeys
from oxcart._wire.options_codec import decode_options, encode_options
from oxcart.errors import PayloadError
from oxcart.serverless.budget import Budget
from oxcart.serverless.records import Record
from oxcart.serverless.store import LogStore
from oxcart.serverless.verdicts import attempts_made, hopeless_reason, is_hopeless
from oxcart.sqs.message import ReadMessage, read_message

log = logging.getLogger("oxcart.serverless")

SHORTEST_HOOK_S = 0.5
EARLY_S = 1.0
"""A job that began this soon had the function's time to itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A run that is over.

    Attributes:
        outcome: what became of it.
        job_id: the job.
        name: its name; empty if the message is no job.
        attempt: which attempt it was, from 1.
        running: the job as the engine ran it; ``None`` if the message is no job.
        ended_at: when it was over, in seconds of ``time.monotonic``.
    """

    outcome: Outcome
    job_id: str
    name: str
    attempt: int
    running: RunningJob | None = None
    ended_at: float = field(default_factory=time.monotonic)

    @property
    def duration_ms(self) -> int:
        """How long it took."""
        began_at = self.running.began_at if self.running else 0.0
        return round((self.ended_at - began_at) * 1_000) if began_at else 0

    @property
    def record(self) -> JobRecord | None:
        """The job, if it could be read."""
        return self.running.record if self.running else None


class JobRunner:
    """Runs the jobs of one queue.

    Args:
        queue: its name.
        handlers: its handlers.
        defaults: the options of jobs whose messages bring none, by name.
        prefix: the queue's.
    """

    def __init__(
        self, queue: str, handlers: Handlers, *, defaults: Mapping[str, JobOptions], prefix: str
    ) -> None:
        self._keys = QueueKeys(prefix, queue)
        self._handlers = handlers
        self._defaults = defaults
        self._executor = Executor(handlers, LogStore(), self._keys)

    async def run(self, record: Record, budget: Budget) -> Ran:
        """Run a message's job, until it ends or the function's time is over. Never raises."""
        try:
            message = read_message(record.body)
        except PayloadError as error:
            reason = str(error)
            return Ran(
                outcome=Failed(reason, reason),
                job_id=record.message_id,
                name="",
                attempt=record.receive_count,
            )
        running, options = self._taken(message, record, budget)
        began_at = time.monotonic()
        outcome = await self._run_within(running, budget)
        had_its_time = began_at - budget.started_at < EARLY_S
        if running.cancelled_for is CancelReason.STOPPING and had_its_time:
            outcome = _out_of_time(record, options, budget)
        return Ran(
            outcome=outcome,
            job_id=running.taken.job_id,
            name=message.name,
            attempt=attempts_made(record.receive_count, options) + 1,
            running=running,
        )

    async def tell_failure(self, ran: Ran, reason: str, budget: Budget) -> None:
        """Call the hooks of a job that failed for good; what they raise is logged."""
        if ran.running is None:
            return
        error = ran.outcome.error if isinstance(ran.outcome, Failed) else None
        hook = start_hook(ran.running, self._keys.queue, reason, error)
        if hook is None:
            return
        try:
            async with asyncio.timeout(max(SHORTEST_HOOK_S, budget.tell_at - time.monotonic())):
                await hook
        except TimeoutError:
            log.exception(
                "job.on_failure_hook_failed queue=%s job_id=%s", self._keys.queue, ran.job_id
            )

    def _taken(
        self, message: ReadMessage, record: Record, budget: Budget
    ) -> tuple[RunningJob, JobOptions]:
        """The job as if it had been taken from Redis."""
        raw = dict(message.fields)
        if not message.has_options:
            defaults = self._defaults.get(message.name, PLAIN_OPTIONS)
            raw[fields.OPTIONS] = encode_options(defaults, prefix=self._keys.prefix)
        if raw[fields.CREATED_AT] == b"0":
            raw[fields.CREATED_AT] = _word(record.sent_at_ms)
        options, _ = decode_options(raw[fields.OPTIONS])
        raw[fields.ATTEMPTS_MADE] = _word(attempts_made(record.receive_count, options))
        raw[fields.ATTEMPTS_STARTED] = _word(record.receive_count)
        raw[fields.PROCESSED_AT] = _word(round(time.time() * 1_000))
        if is_hopeless(record.receive_count, options):
            raw[fields.DEFERRED_FAILURE] = hopeless_reason(record.receive_count).encode()
        job_id = message.job_id or record.message_id
        # The message is ours for longer than the function may run.
        hold = Hold(self._keys.queue, job_id, record.receipt, budget.ends_at, lambda _: None)
        return RunningJob(TakenJob(job_id, record.receipt, raw), hold), options

    async def _run_within(self, running: RunningJob, budget: Budget) -> Outcome:
        """Run a job; cancel it when the time is over, and leave it behind if it does not end."""
        loop = asyncio.get_running_loop()
        # Not in a TaskGroup: a handler that ignores its cancellation must not keep the function
        # from answering.
        task = running.task = loop.create_task(self._executor.run(running))
        await asyncio.wait([task], timeout=budget.run_until - time.monotonic())
        if not task.done():
            running.cancel(CancelReason.STOPPING)
            await asyncio.wait([task], timeout=budget.tell_at - time.monotonic())
        if not task.done():
            running.hold.is_lost = True
            log.error(
                "job.ignores_cancellation queue=%s job_id=%s",
                self._keys.queue, running.taken.job_id,
            )  # fmt: skip
            return GivenBack()
        return task.result().outcome


def _out_of_time(record: Record, options: JobOptions, budget: Budget) -> Outcome:
    """What becomes of a job that had the whole of the function's time and did not end."""
    reason = (
        f"timed out after {budget.run_ms} ms: the function has no more time; "
        "give it a longer time-out, or the job less to do"
    )
    return decide(
        Failure(reason=reason, trace=reason, error=TimeoutError(reason)),
        attempts_made=attempts_made(record.receive_count, options),
        max_attempts=options.max_attempts,
        backoff=options.backoff,
        random=random,
    )


def _word(number: int) -> bytes:
    return str(number).encode()
