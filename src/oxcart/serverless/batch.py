"""One batch of messages: which run at once, in which order, and what Lambda is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextvars import copy_context
from dataclasses import replace

from oxcart._engine.failure_hooks import variables_of
from oxcart._engine.outcome_log import log_failed_attempt
from oxcart._model.outcome import Failed, Retried
from oxcart.serverless.budget import Budget
from oxcart.serverless.records import Record
from oxcart.serverless.running import JobRunner, Ran
from oxcart.serverless.settling import Settler
from oxcart.serverless.verdicts import (
    GIVEN_BACK,
    Again,
    DeadLetter,
    Done,
    Verdict,
    verdict_of,
)

log = logging.getLogger("oxcart.serverless")

Lane = Sequence[Record]
"""Messages that are run one after another."""


class Batch:
    """Runs the messages of one queue that a call brought.

    Messages of a FIFO queue's group run one after another; when one of them must come back, so do
    those behind it. All others run side by side.

    Args:
        queue: the queue's name, for the log.
        runner: runs jobs.
        settler: tells SQS what becomes of them.
        places: how many run at a time.
        budget: the function's time.
    """

    def __init__(
        self, queue: str, runner: JobRunner, settler: Settler, *, places: int, budget: Budget
    ) -> None:
        self._queue = queue
        self._runner = runner
        self._settler = settler
        self._free = asyncio.Semaphore(places)
        self._budget = budget
        self._waits: dict[Record, Again] = {}

    async def run(self, records: Sequence[Record]) -> list[Record]:
        """Run the messages' jobs.

        Returns:
            Those that are not done with and come back.
        """
        async with asyncio.TaskGroup() as group:
            for lane in lanes_of(records):
                group.create_task(self._run_lane(lane))
        await self._settler.hide(self._waits)
        return [record for record in records if record in self._waits]

    async def _run_lane(self, lane: Lane) -> None:
        for at, record in enumerate(lane):
            # What stands behind another message was received with it each time and never run: it
            # has all its attempts left.
            counted = replace(record, receive_count=1) if at else record
            async with self._free:
                verdict = await self._run_one(counted)
            if isinstance(verdict, Again):
                self._waits |= {record: verdict} | dict.fromkeys(lane[at + 1 :], GIVEN_BACK)
                return

    async def _run_one(self, record: Record) -> Verdict:
        if not self._budget.may_take:
            return GIVEN_BACK
        ran = await self._runner.run(record, self._budget)
        verdict = verdict_of(ran.outcome)
        self._log(ran, verdict)
        if isinstance(verdict, DeadLetter):
            if not await self._settler.bury(record, ran, verdict.reason):
                return GIVEN_BACK
            await self._runner.tell_failure(ran, verdict.reason, self._budget)
        return verdict

    def _log(self, ran: Ran, verdict: Verdict) -> None:
        match verdict:
            case Done():
                log.debug(
                    "job.completed queue=%s job_id=%s name=%s", self._queue, ran.job_id, ran.name
                )
            case Again(after_s=after_s, reason=reason):
                self._log_failed(ran, reason, delay_ms=after_s * 1_000)
            case DeadLetter(reason=reason):
                self._log_failed(ran, reason, delay_ms=None)

    def _log_failed(self, ran: Ran, reason: str, *, delay_ms: int | None) -> None:
        # With the variables of the attempt: the line hides the secrets of its payload.
        variables = variables_of(ran.running) if ran.running else copy_context()
        variables.run(
            log_failed_attempt,
            log, f"queue={self._queue} job_id={ran.job_id} name={ran.name}", reason,
            ran.outcome.error if isinstance(ran.outcome, Failed | Retried) else None,
            attempt=ran.attempt,
            max_attempts=ran.record.options.max_attempts if ran.record else 0,
            duration_ms=ran.duration_ms,
            delay_ms=delay_ms,
        )  # fmt: skip


def lanes_of(records: Iterable[Record]) -> list[Lane]:
    """Put messages into lanes: one a group, one for each that has none, in order."""
    groups: dict[str, list[Record]] = {}
    lanes: list[Lane] = []
    for record in records:
        if record.group_id is None:
            lanes.append([record])
            continue
        if record.group_id not in groups:
            groups[record.group_id] = []
            lanes.append(groups[record.group_id])
        groups[record.group_id].append(record)
    return lanes
