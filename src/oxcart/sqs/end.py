"""A queue's end in SQS: what the asyncio and the blocking queue share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from oxcart._model.job import JobCounts, JobRecord, JobSpec
from oxcart._model.states import JobState
from oxcart._model.watching import QueueFigures
from oxcart._store.calls.adding import Added, AddStatus
from oxcart.sqs.addresses import SqsAddress
from oxcart.sqs.client import SqsClient
from oxcart.sqs.errors import NotAllSent
from oxcart.sqs.outgoing import GroupOf, Outgoing, prepare
from oxcart.sqs.sender import Sent, send_all


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A job that was looked up elsewhere than in SQS, which has no looking up."""

    record: JobRecord
    state: JobState


Lookup = Callable[[str], Awaitable[Found | None]]
"""Finds a job by its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SqsEnd:
    """Where a queue's jobs are sent.

    Attributes:
        address: the queue in SQS.
        client: calls SQS.
        prefix: kept with jobs as their queue's.
        group_of: the groups of a FIFO queue.
    """

    address: SqsAddress
    client: SqsClient
    prefix: str
    group_of: GroupOf

    def prepare(self, spec: JobSpec) -> Outgoing:
        """Make a job ready to be sent; see ``outgoing.prepare``."""
        return prepare(spec, self.address, prefix=self.prefix, group_of=self.group_of)

    def send(self, jobs: Sequence[Outgoing]) -> list[Sent]:
        """Send jobs and say what became of each; blocks."""
        return send_all(self.client, self.address, jobs)

    def check(self, results: Sequence[Sent]) -> None:
        """Raise what became of a batch, if not all of it was sent.

        Raises:
            NotAllSent: some jobs were sent.
            StoreUnavailable, PayloadError: none was.
        """
        failures = {at: error for at, error in enumerate(results) if error is not None}
        if not failures:
            return
        if len(failures) == len(results):
            raise next(iter(failures.values()))
        raise NotAllSent(
            queue=self.address.queue,
            sent_count=len(results) - len(failures),
            failures=failures,
        )

    def counts(self) -> JobCounts:
        """About how many jobs are in each state; failed ones are in the dead-letter queue.

        Raises:
            StoreUnavailable: SQS cannot be reached.
        """
        waiting, active, delayed = self.client.counts(self.address.url)
        failed = 0
        if self.address.dead_letter_url is not None:
            failed = sum(self.client.counts(self.address.dead_letter_url))
        return JobCounts(waiting=waiting, active=active, delayed=delayed, failed=failed)

    def figures(self) -> QueueFigures:
        """As ``counts``, without the states that SQS knows nothing of.

        Raises:
            StoreUnavailable: SQS cannot be reached.
        """
        counts = self.counts()
        known = {
            JobState.WAITING: counts.waiting,
            JobState.ACTIVE: counts.active,
            JobState.DELAYED: counts.delayed,
        }
        if self.address.dead_letter_url is not None:
            known[JobState.FAILED] = counts.failed
        return QueueFigures(counts=known)


def added(job: Outgoing) -> Added:
    """What is known of a job that was sent."""
    return Added(job_id=job.job_id, status=AddStatus.ADDED, added_at_ms=job.made_at_ms)
