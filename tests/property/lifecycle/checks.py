"""What must be true after each move, whatever came before it.

The model says which keys there are and what is in them; a key that it does not name belongs to
nobody. What the model itself must fulfil is said a second time here, in words of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.property.lifecycle.looking import Key, Picture, policy_of
from tests.property.lifecycle.world import MANUAL, READY, ModelJob, ModelQueue, Ref, World

from oxcart import JobState
from oxcart._wire.keys import STATE_SUFFIXES

SORTED = (
    JobState.DELAYED, JobState.PRIORITIZED, JobState.WAITING_CHILDREN, JobState.COMPLETED,
    JobState.FAILED,
)  # fmt: skip
QUEUE_KEYS = {
    "wait", "active", "delayed", "waiting-children", "completed", "failed", "stalled", "id",
    "limiter", "repeat",
}  # fmt: skip
UNTOLD = {"meta", "pc", "events", "marker"}
"""Keys of a queue that may be there whatever the model says."""


def check(world: World, picture: Picture, prefix: str) -> None:
    """Compare the server with the model, and check what holds for any queue."""
    expected = {key: value for key, value in _expected(world, prefix) if value}
    found: dict[str, Any] = {}
    for key, held in picture.items():
        if not _is_passed_over(key, held):
            found[key] = _plain(key, held)
    assert expected == found, _difference(expected, found)
    for name, queue in world.queues.items():
        _check_order(world, picture, name)
        _check_settings(queue, picture)
        _check_tokens(world, queue, picture)
    for job in world.jobs.values():
        _check_family(world, job)


def _is_passed_over(key: str, held: Key) -> bool:
    suffix = key.split(":", 1)[1]
    if suffix.startswith("oxcart:"):
        assert held.expires, f"{key} would stay for ever"
        return True
    if suffix == "stalled-check":
        assert held.expires
        return True
    return suffix in UNTOLD or suffix.startswith("metrics:")


def _expected(world: World, prefix: str) -> Iterator[tuple[str, Any]]:
    """The keys that there must be; those whose value is empty are not there."""
    for name, queue in world.queues.items():
        yield f"{name}:wait", queue.wait
        yield f"{name}:active", queue.active
        for state in SORTED:
            ranks = {job.id: job.rank for job in world.ranked(name, state)}
            is_exact = state is not JobState.PRIORITIZED
            yield f"{name}:{STATE_SUFFIXES[state]}", ranks if is_exact else set(ranks)
        yield f"{name}:stalled", queue.suspects
        yield f"{name}:id", str(queue.counter) if queue.counter else ""
        yield f"{name}:limiter", "" if queue.started is None else str(queue.started)
        yield f"{name}:repeat", {key: float(due) for key, due in queue.schedulers.items()}
        for scheduler in queue.schedulers:
            yield f"{name}:repeat:{scheduler}", "scheduler"
        for dedup_id, holder in queue.holders.items():
            yield f"{name}:de:{dedup_id}", (holder.job_id, holder.expires)
        for dedup_id, kept in queue.kept.items():
            yield f"{name}:dn:{dedup_id}", kept.id
    for job in world.jobs.values():
        base = f"{job.queue}:{job.id}"
        yield base, _expected_hash(job, prefix)
        yield f"{base}:lock", job.token or ""
        yield f"{base}:dependencies", {_full(prefix, ref) for ref in job.pending}
        yield f"{base}:processed", {_full(prefix, ref) for ref in job.processed}
        yield f"{base}:failed", {_full(prefix, ref) for ref in job.ignored}
        yield f"{base}:unsuccessful", {_full(prefix, ref) for ref in job.failing}


def _expected_hash(job: ModelJob, prefix: str) -> dict[str, Any]:
    return {
        "delay": job.delay_ms,
        "priority": job.priority,
        "timestamp": job.made_at_ms,
        "atm": job.attempts_made,
        "ats": job.attempts_started,
        "stc": job.stalled_count,
        "processedOn": job.processed_at_ms,
        "finishedOn": job.finished_at_ms,
        "defa": job.deferred is not None,
        "deid": job.dedup_id,
        "rjk": job.scheduler,
        "parentKey": None if job.parent is None else _full(prefix, job.parent),
        "policy": job.policy,
    }


def _plain(key: str, held: Key) -> Any:
    """A key's value as ``_expected`` says it."""
    suffix = key.split(":", 1)[1]
    part = suffix.rsplit(":", 1)[-1]
    plain = held.value
    if suffix in QUEUE_KEYS or part in ("lock", "dependencies"):
        pass
    elif suffix.startswith("de:"):
        plain = (plain, held.expires)
    elif suffix.startswith("dn:"):
        plain = plain["jid"]
    elif part in ("prioritized", "processed", "failed", "unsuccessful"):
        plain = set(plain)
    elif suffix.startswith("repeat:") and not part.isdigit():
        plain = "scheduler"
    else:
        plain = _plain_hash(plain)
    return plain


def _plain_hash(fields: dict[str, str]) -> dict[str, Any]:
    def whole(name: str) -> int | None:
        return int(fields[name]) if name in fields else None

    json.loads(fields["opts"])
    json.loads(fields.get("returnvalue", "null"))
    plain: dict[str, Any] = {name: whole(name) for name in ("delay", "priority", "timestamp")}
    plain |= {name: whole(name) or 0 for name in ("atm", "ats", "stc")}
    plain |= {name: whole(name) for name in ("processedOn", "finishedOn")}
    plain |= {name: fields.get(name) for name in ("deid", "rjk", "parentKey")}
    return plain | {"defa": "defa" in fields, "policy": policy_of(fields)}


def _check_order(world: World, picture: Picture, name: str) -> None:
    ranked = picture.get(f"{name}:prioritized", Key({}, expires=False)).value
    found = sorted(ranked, key=lambda job_id: (ranked[job_id], job_id))
    assert [job.id for job in world.ranked(name, JobState.PRIORITIZED)] == found


def _check_settings(queue: ModelQueue, picture: Picture) -> None:
    meta = picture.get(f"{queue.name}:meta", Key({}, expires=False)).value
    assert queue.is_paused is ("paused" in meta)
    limits = {"concurrency": queue.concurrency, "max": queue.rate_max}
    found = {name: int(meta[name]) if name in meta else None for name in limits}
    assert limits == found
    assert ("max" in meta) is ("duration" in meta)


def _check_tokens(world: World, queue: ModelQueue, picture: Picture) -> None:
    """A worker is woken while jobs wait that it could take, but for the gaps that BullMQ has."""
    tokens = picture.get(f"{queue.name}:marker", Key({}, expires=False)).value
    expected = {"0": 0.0} if queue.is_awake else {}
    if queue.due_token is not None:
        expected["1"] = queue.due_token
    assert expected == tokens, f"{queue.name}: {expected} != {tokens}"
    is_limited = queue.started is not None and (
        queue.started == MANUAL or (queue.rate_max is not None and queue.started >= queue.rate_max)
    )
    if queue.is_awake:
        queue.may_sleep = False
    elif is_limited or queue.is_full:
        queue.may_sleep = True  # who finds no room looks again by the clock
    elif world.refs(*READY, queue=queue.name) and not queue.is_paused:
        assert queue.may_sleep, f"jobs of {queue.name} wait and nobody is woken"


def _check_family(world: World, job: ModelJob) -> None:
    """The ties between parents and children hold from both ends."""
    assert job.state is not JobState.UNKNOWN
    assert (job.token is None) or job.state is JobState.ACTIVE
    for child in job.pending:
        assert child in world.jobs, f"{job.ref} waits for {child}, which is gone"
        assert world.jobs[child].parent == job.ref
        assert world.jobs[child].state is not JobState.COMPLETED
    if job.state is JobState.WAITING_CHILDREN:
        assert job.pending, f"{job.ref} waits for nobody"


def _full(prefix: str, ref: Ref) -> str:
    return f"{prefix}:{ref[0]}:{ref[1]}"


def _difference(expected: dict[str, Any], found: dict[str, Any]) -> str:
    rows = [
        f"{key}: expected {expected.get(key)!r}, found {found.get(key)!r}"
        for key in sorted(expected.keys() | found.keys())
        if expected.get(key) != found.get(key)
    ]
    return "\n".join(rows)
