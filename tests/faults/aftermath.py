"""What is left of a queue after faults: every job ended once, none lost, none left locked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import redis
from tests.faults.processes import Ledger
from tests.partition import Partition, check_partition
from tests.support import wait_until_sync


@dataclass(frozen=True, slots=True)
class Aftermath:
    """Looks at a queue and at its handlers' ledger, without the library."""

    client: redis.Redis
    prefix: str
    ledger: Ledger

    def completed_count(self, queue: str = "q") -> int:
        """How many jobs stand in ``completed``."""
        return int(self.client.zcard(f"{self.prefix}:{queue}:completed"))

    def wait_for(self, count: int, *, queue: str = "q", within: float = 30) -> None:
        """Wait until so many jobs are completed."""
        wait_until_sync(
            lambda: self.completed_count(queue) >= count,
            within=within,
            what=f"{count} jobs of {queue} to complete, {self.completed_count(queue)} did",
        )

    def wait_for_starts(self, count: int, *, within: float = 20) -> None:
        """Wait until so many runs have begun."""
        wait_until_sync(
            lambda: len(self.ledger.lines("start")) >= count,
            within=within,
            what=f"{count} runs to begin",
        )

    def partition(self, queue: str = "q") -> Partition:
        """What stands in the queue, once it is found to be whole."""
        return check_partition(self.client, self.prefix, queue)

    def check_all_completed(
        self, job_ids: Collection[str], *, extra_runs: int, queue: str = "q"
    ) -> None:
        """Assert that exactly these jobs completed, each once, with few extra runs.

        Args:
            job_ids: every job that was acknowledged.
            extra_runs: how many runs beyond one a job there may be.
            queue: the queue.
        """
        partition = self.partition(queue)
        starts = self.ledger.starts(queue=queue)
        assert dict.fromkeys(job_ids, "completed") == partition.states
        assert set(job_ids) == set(starts)
        assert starts.total() - len(job_ids) <= extra_runs
        # Of the latest jobs only, where the stream has dropped older events.
        assert {1} == set(self._completions(queue).values())

    def _completions(self, queue: str) -> Counter[str]:
        """How often each job was announced as completed."""
        entries: Any = self.client.xrange(f"{self.prefix}:{queue}:events")
        return Counter(
            fields[b"jobId"].decode() for _, fields in entries if fields[b"event"] == b"completed"
        )
