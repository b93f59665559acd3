"""The invariant of a queue, looked at from outside the library: states are a partition.

Every id is in exactly one state, with a hash; every hash has a place; every active job has a lock,
and no other has one.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import redis

STATES = (
    "wait", "paused", "active", "prioritized", "delayed", "waiting-children", "completed", "failed",
)  # fmt: skip
OWN_KEYS = {
    *STATES, "stalled", "stalled-check", "id", "meta", "events", "marker", "pc", "limiter",
    "repeat",
}  # fmt: skip

OWN_WORDS = {"oxcart", "metrics", "de", "dn", "repeat"}
"""What the queue's own keys of several parts start with."""
_SCHEDULED = re.compile(r"(repeat:.+:\d{13})(?::([a-z]+))?")
FAMILY = {"dependencies", "processed", "failed", "unsuccessful"}
"""Parts of a parent's keys: ties to its children."""

# One script, so that the picture is of one instant even while workers run.
_PICTURE = """
local picture = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local kind = redis.call('TYPE', key).ok
  local members = {}
  if kind == 'list' then
    members = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'zset' then
    members = redis.call('ZRANGE', key, 0, -1)
  end
  picture[#picture + 1] = { key, kind, members }
end
return picture
"""


@dataclass(slots=True)
class Partition:
    """What stands in a queue.

    Attributes:
        places: the states that hold each id, once an occurrence.
        hashes: ids that have a hash.
        locks: ids that have a lock.
        logs: ids that have a log.
    """

    places: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    hashes: set[str] = field(default_factory=set)
    locks: set[str] = field(default_factory=set)
    logs: set[str] = field(default_factory=set)

    def problems(self, *, locks_may_be_gone: bool = False) -> list[str]:
        """What is wrong, one sentence each."""
        found = [
            f"{job_id} is in {len(states)} places: {', '.join(states)}"
            for job_id, states in self.places.items()
            if len(states) != 1
        ]
        active = {job_id for job_id, states in self.places.items() if "active" in states}
        found += _each(self.places.keys() - self.hashes, "is in a state and has no hash")
        found += _each(self.hashes - self.places.keys(), "has a hash and is in no state")
        found += _each(self.logs - self.hashes, "has a log and no hash")
        found += _each(self.locks - active, "has a lock and is not active")
        if not locks_may_be_gone:
            found += _each(active - self.locks, "is active and has no lock")
        return found

    @property
    def states(self) -> dict[str, str]:
        """The state of each id."""
        return {job_id: states[0] for job_id, states in self.places.items()}

    @property
    def counts(self) -> Counter[str]:
        """How many ids are in each state."""
        return Counter(self.states.values())


def picture_of(client: redis.Redis, prefix: str, queue: str) -> Partition:
    """Read everything of a queue at one instant."""
    base = f"{prefix}:{queue}:"
    partition = Partition()
    for key, kind, members in client.eval(_PICTURE, 0, f"{base}*"):
        suffix = key.decode().removeprefix(base)
        job_id, part = _split(suffix)
        if suffix in STATES:
            for member in members:
                partition.places[member.decode()].append(suffix)
        elif suffix in OWN_KEYS or job_id in OWN_WORDS or part in FAMILY:
            continue
        elif not part:
            assert kind == b"hash", f"{suffix} is a {kind.decode()}"
            partition.hashes.add(job_id)
        else:
            {"lock": partition.locks, "logs": partition.logs}[part].add(job_id)
    return partition


def _split(suffix: str) -> tuple[str, str]:
    """The id and the rest of a key; a scheduler's job has its scheduler and its time in its id."""
    if scheduled := _SCHEDULED.fullmatch(suffix):
        return scheduled[1], scheduled[2] or ""
    job_id, _, part = suffix.partition(":")
    return job_id, part


def check_partition(
    client: redis.Redis, prefix: str, queue: str, *, locks_may_be_gone: bool = False
) -> Partition:
    """Assert the invariant and give what stands in the queue.

    Args:
        client: the server.
        prefix: what its keys start with.
        queue: the queue.
        locks_may_be_gone: allow active jobs whose lock ran out, as between a worker's death and
            the stalled check.
    """
    partition = picture_of(client, prefix, queue)
    problems = partition.problems(locks_may_be_gone=locks_may_be_gone)
    assert not problems, "\n".join(problems[:20])
    return partition


def _each(job_ids: set[str], problem: str) -> list[str]:
    return [f"{job_id} {problem}" for job_id in sorted(job_ids)]
