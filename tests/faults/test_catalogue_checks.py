"""The checks of the catalogue notice every kind of damage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.faults.catalogue.checks import Allowed, Finishes, Outcome, check
from tests.faults.catalogue.ledger import (
    ACKNOWLEDGED,
    BEGUN,
    ENDED,
    TRIED,
    LedgerWriter,
    Tally,
    count_new,
    tally_of,
)

from oxcart.sync import Queue


class Bench:
    """A queue with a ledger, and the checks on them."""

    def __init__(self, client: Any, prefix: str, folder: Path, queue: Queue) -> None:
        self.client, self.prefix, self.queue = client, prefix, queue
        self.path = folder / "ledger"
        self.book = LedgerWriter(self.path)

    def add(self, reference: str) -> str:
        """Add a job as a producer does; gives the key of its hash."""
        self.book.write(TRIED, reference)
        self.queue.add("work", job_id=reference)
        self.book.write(ACKNOWLEDGED, reference, f"q:{reference}")
        return f"{self.prefix}:q:{reference}"

    def finish(self, reference: str, state: str = "completed") -> None:
        """Move a job to a final state as a worker does."""
        base = f"{self.prefix}:q:"
        self.book.write(BEGUN, reference, f"q:{reference}")
        self.client.lrem(base + "wait", 0, reference)
        self.client.zadd(base + state, {reference: 1})
        self.announce(reference, state)
        self.book.write(ENDED, reference, f"q:{reference}")

    def announce(self, reference: str, state: str) -> None:
        """Announce an end."""
        self.client.xadd(f"{self.prefix}:q:events", {"event": state, "jobId": reference})

    def check(self, allowed: Allowed | None = None) -> Outcome:
        """Check the invariants."""
        return check(
            self.client,
            self.prefix,
            ["q"],
            tally=tally_of(self.path),
            finishes=Finishes(),
            allowed=allowed or Allowed(),
        )


@pytest.fixture
def bench(valkey: redis.Redis, valkey_url: str, prefix: str, tmp_path: Path) -> Iterator[Bench]:
    with Queue("q", redis_url=valkey_url, prefix=prefix) as queue:
        queue.open()
        yield Bench(valkey, prefix, tmp_path, queue)


def test_jobs_that_ended_as_they_had_to_are_no_problem(bench: Bench) -> None:
    for reference, state in (("g1.1", "completed"), ("x1.2", "failed"), ("p1.3", "failed")):
        bench.add(reference)
        bench.finish(reference, state)

    outcome = bench.check()

    assert [] == list(outcome.problems)
    assert 3 == outcome.figures["acknowledged"]


def test_acknowledged_job_that_is_gone_is_lost(bench: Bench) -> None:
    key = bench.add("g1.1")
    bench.client.delete(key)
    bench.client.lrem(f"{bench.prefix}:q:wait", 0, "g1.1")

    assert ["1 acknowledged and lost: g1.1"] == list(bench.check().problems)
    assert [] == list(bench.check(Allowed(lost="deleted by the test")).problems)


def test_job_that_still_waits_is_not_settled(bench: Bench) -> None:
    bench.add("g1.1")

    assert ["1 not settled: g1.1 (wait)"] == list(bench.check().problems)


def test_good_job_that_failed_is_an_innocent(bench: Bench) -> None:
    bench.add("g1.1")
    bench.finish("g1.1", "failed")

    [problem] = bench.check().problems
    assert problem.startswith("1 failed without a fault of their own: g1.1")


def test_job_that_was_completed_twice_is_noticed(bench: Bench) -> None:
    bench.add("g1.1")
    bench.finish("g1.1")
    bench.announce("g1.1", "completed")

    assert ["1 completed twice: q:g1.1"] == list(bench.check().problems)


def test_lock_without_an_active_job_is_noticed(bench: Bench) -> None:
    key = bench.add("g1.1")
    bench.finish("g1.1")
    bench.client.set(f"{key}:lock", "token")

    assert ["q: g1.1 has a lock and is not active"] == list(bench.check().problems)


def test_job_in_two_states_is_noticed(bench: Bench) -> None:
    bench.add("g1.1")
    bench.finish("g1.1")
    bench.client.zadd(f"{bench.prefix}:q:failed", {"g1.1": 1})

    assert any("is in 2 places" in problem for problem in bench.check().problems)


def test_own_key_without_ttl_is_noticed(bench: Bench) -> None:
    bench.client.set(f"{bench.prefix}:q:oxcart:step-left-behind", "1")

    [problem] = bench.check().problems
    assert problem.startswith("1 without TTL:")


def test_job_added_under_two_ids_is_noticed(bench: Bench) -> None:
    bench.add("g1.1")
    bench.finish("g1.1")
    bench.book.write(BEGUN, "g1.1", "q:another")

    assert ["1 added under two ids: g1.1"] == list(bench.check().problems)


def test_job_that_started_twice_is_counted_and_no_problem(bench: Bench) -> None:
    bench.add("g1.1")
    bench.book.write(BEGUN, "g1.1", "q:g1.1")
    bench.finish("g1.1")

    outcome = bench.check()

    assert [] == list(outcome.problems)
    assert (1, 1) == (outcome.figures["started_twice"], outcome.figures["extra_starts"])


def test_ledger_is_counted_in_portions_and_leaves_an_unfinished_line(tmp_path: Path) -> None:
    path, tally = tmp_path / "ledger", Tally()
    book = LedgerWriter(path)
    book.write(BEGUN, "g1.1", "q:1")
    with path.open("a") as file:
        file.write("E g1.1 q:1")
    offset, lines = count_new(path, 0, tally)
    with path.open("a") as file:
        file.write(" 7 99\n")
    _, more = count_new(path, offset, tally)

    assert [BEGUN, ENDED] == [line.kind for line in (*lines, *more)]
    assert (1, 1) == (tally.records["g1.1"].begun, tally.records["g1.1"].ended)
