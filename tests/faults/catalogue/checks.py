"""The invariants that hold after every fault, from the ledger and the keys of the queues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis
from tests.faults.catalogue.ledger import (
    DOOMED,
    GOOD,
    POISON,
    RETRIED,
    SCHEDULED,
    Tally,
)
from tests.partition import Partition, picture_of

SHOWN = 10
"""How many jobs of a problem are named."""
FINAL = {GOOD: "completed", RETRIED: "completed", DOOMED: "failed", POISON: "failed"}
LIVING = {"wait", "paused", "active", "prioritized", "delayed", "waiting-children"}


@dataclass(slots=True)
class Allowed:
    """What a scenario allows by the nature of its fault, each with the reason.

    Attributes:
        lost: acknowledged jobs may be gone.
        unsettled: acknowledged jobs may still wait.
        completed_twice: a job may be completed twice.
        innocents_failed: good jobs may fail.
        locks_gone: active jobs may have no lock.
    """

    lost: str = ""
    unsettled: str = ""
    completed_twice: str = ""
    innocents_failed: str = ""
    locks_gone: str = ""


@dataclass(slots=True)
class Finishes:
    """How often each job was announced as completed or failed, from the events of the queues.

    Attributes:
        counts: by ``queue:id`` and event.
        reasons: why each of the failed ones failed.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)
    _after: dict[str, str] = field(default_factory=dict)

    def read(self, client: redis.Redis, prefix: str, queues: Iterable[str]) -> None:
        """Read what was added to the streams since the last call."""
        for queue in queues:
            key = f"{prefix}:{queue}:events"
            while True:
                start = self._after.get(key)
                low = "-" if start is None else f"({start}"
                entries: Any = client.xrange(key, min=low, count=5_000)
                for entry_id, fields in entries:
                    self._after[key] = entry_id.decode()
                    if fields[b"event"] in (b"completed", b"failed"):
                        place = f"{queue}:{fields[b'jobId'].decode()}"
                        self.counts[place, fields[b"event"].decode()] += 1
                        if b"failedReason" in fields:
                            self.reasons[place] = fields[b"failedReason"].decode()
                if len(entries) < 5_000:
                    break

    def is_finished(self, place: str) -> bool:
        """Whether the job was announced as completed or failed."""
        return (place, "completed") in self.counts or (place, "failed") in self.counts


@dataclass(frozen=True, slots=True)
class Outcome:
    """The invariants after a fault.

    Attributes:
        problems: what does not hold, one sentence each.
        figures: what was counted.
        innocents: references of good jobs that failed.
    """

    problems: Sequence[str]
    figures: dict[str, Any]
    innocents: Sequence[str] = ()


def check(
    client: redis.Redis,
    prefix: str,
    queues: Sequence[str],
    *,
    tally: Tally,
    finishes: Finishes,
    allowed: Allowed,
) -> Outcome:
    """Check the invariants of queues that no worker changes any more.

    Args:
        client: the server.
        prefix: what the keys start with.
        queues: every queue of the trial.
        tally: the ledger.
        finishes: the events.
        allowed: what the scenario allows.
    """
    pictures = {queue: picture_of(client, prefix, queue) for queue in queues}
    finishes.read(client, prefix, queues)
    problems = []
    for queue, picture in pictures.items():
        found = picture.problems(locks_may_be_gone=bool(allowed.locks_gone))
        problems += [f"{queue}: {each}" for each in _shortened(found)]
    states = {
        f"{queue}:{job_id}": state
        for queue, picture in pictures.items()
        for job_id, state in picture.states.items()
    }
    accounts = _Accounts(tally, states, finishes)
    problems += accounts.problems(allowed)
    problems += _named("without TTL", stray_keys(client, prefix, queues))
    innocents = [text.split()[0] for text in accounts.innocents]
    return Outcome(problems, accounts.figures(), innocents)


class _Accounts:
    """Compares the ledger with the states."""

    def __init__(self, tally: Tally, states: dict[str, str], finishes: Finishes) -> None:
        self._tally = tally
        self._finishes = finishes
        self.lost: list[str] = []
        self.unsettled: list[str] = []
        self.innocents: list[str] = []
        self.wrong: list[str] = []
        self.refused_but_there = 0
        for reference, record in tally.of_kind("".join(FINAL)):
            state = states.get(record.place)
            if not record.is_acknowledged:
                self.refused_but_there += record.begun > 0 or state is not None
                continue
            if state is None and not record.ended and not finishes.is_finished(record.place):
                self.lost.append(reference)
            elif state in LIVING:
                self.unsettled.append(f"{reference} ({state})")
            elif state is not None and state != FINAL[reference[0]]:
                wrong = self.innocents if reference[0] in GOOD + RETRIED else self.wrong
                wrong.append(f"{reference} ({record.place}: {finishes.reasons.get(record.place)})")
        self.twice = [
            place
            for (place, event), count in finishes.counts.items()
            if event == "completed" and count > 1
        ]

    def problems(self, allowed: Allowed) -> list[str]:
        found = []
        for jobs, what, reason in (
            (self.lost, "acknowledged and lost", allowed.lost),
            (self.unsettled, "not settled", allowed.unsettled),
            (self.innocents, "failed without a fault of their own", allowed.innocents_failed),
            (self.twice, "completed twice", allowed.completed_twice),
            (self.wrong, "completed although they had to fail", ""),
            (list(self._tally.other_ids), "added under two ids", ""),
        ):  # fmt: skip
            if jobs and not reason:
                found += _named(what, jobs)
        return found

    def figures(self) -> dict[str, Any]:
        records = [record for _, record in self._tally.of_kind(GOOD + DOOMED + SCHEDULED)]
        shown = {
            "acknowledged": self._tally.acknowledged_count,
            "lost": len(self.lost),
            "innocents_failed": len(self.innocents),
            "completed_twice": len(self.twice),
            "unsettled": len(self.unsettled),
            "started_twice": sum(record.begun > 1 for record in records),
            "extra_starts": sum(max(0, record.begun - 1) for record in records),
            "ended_twice": sum(record.ended > 1 for record in records),
            "refused": self._tally.refusals,
            "refused_but_there": self.refused_but_there,
            "scheduled_runs": sum(1 for _ in self._tally.of_kind(SCHEDULED)),
        }
        always = {"acknowledged", "lost", "innocents_failed", "completed_twice", "started_twice"}
        return {name: value for name, value in shown.items() if value or name in always}


def stray_keys(client: redis.Redis, prefix: str, queues: Sequence[str]) -> list[str]:
    """Keys of oxcart's own without TTL, and keys that belong to no queue of the trial."""
    found = []
    for raw in client.scan_iter(f"{prefix}:*", count=5_000):
        queue, _, rest = raw.decode().removeprefix(f"{prefix}:").partition(":")
        is_own = rest.startswith("oxcart:")
        if queue not in queues or (is_own and client.ttl(raw) == -1):
            found.append(raw.decode())
    return found


def settled(picture: Partition) -> bool:
    """Whether no job of a queue is pending, except those that schedulers made."""
    return not any(
        state in LIVING and not job_id.startswith("repeat:")
        for job_id, state in picture.states.items()
    )


def _named(what: str, jobs: Sequence[str]) -> list[str]:
    if not jobs:
        return []
    more = f" and {len(jobs) - SHOWN} more" if len(jobs) > SHOWN else ""
    return [f"{len(jobs)} {what}: {', '.join(list(jobs)[:SHOWN])}{more}"]


def _shortened(found: Sequence[str]) -> list[str]:
    more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return [*found[:SHOWN], *more]
