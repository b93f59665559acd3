"""Where oxcart differs from BullMQ on purpose. Each difference says why, and there is a test.

``hazard`` vectors record defects of BullMQ. Each has its check here: what oxcart does instead, or
that it goes on working on what BullMQ left behind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tests.interop.session import PREFIX, Session
from tests.interop.snapshot import take_snapshot
from tests.interop.vectors import Step

from oxcart import JobState


def is_refused_on_purpose(step: Step) -> bool:
    """Whether BullMQ takes a job's id that oxcart refuses.

    An id of exactly three parts (``a:b:c``) passes BullMQ for the sake of old repeatable jobs. As
    a child it breaks the removal of its parent, so oxcart refuses every ``:`` (wire format,
    section 3). The job is then written as BullMQ does it, so that the rest can be compared.
    """
    job_id = (step.get("opts") or {}).get("jobId", "")
    return job_id.count(":") == 2 and not job_id.startswith("0:")


@dataclass(frozen=True, slots=True)
class Hazard:
    """What is checked after a hazard vector's steps.

    Attributes:
        check: what oxcart does on what is there then.
        is_compared: the defect is an older release's alone, so that the recorded results, keys and
            events hold for oxcart too.
    """

    check: Callable[[Session], Awaitable[None]]
    is_compared: bool = False


async def the_id_without_a_hash_was_dropped(session: Session) -> None:
    """BullMQ takes the id, leaves a stub hash and a lock, and hangs on a nameless job."""
    found = take_snapshot(session.client)
    base = f"{PREFIX}:q:"
    assert found.keys() == {base + "id", base + "meta", base + "events", base + "marker"}
    assert [entry[1] for entry in found[base + "events"].value] == ["added", "waiting"]


async def the_overwritten_job_is_in_no_state(session: Session) -> None:
    """The job that the older release's resume lost is told as such; the other one is taken."""
    queue = session.queue(_QUEUE)

    assert await queue.get_state("1") is JobState.UNKNOWN
    assert await session.play(_TAKE) == _taken("2")
    assert await session.play(_TAKE) == _taken(None)


async def the_job_without_a_marker_is_taken(session: Session) -> None:
    """A worker that looks for work finds the job although nothing woke it up."""
    assert await session.play(_TAKE) == _taken("1")


async def is_usable(session: Session) -> None:
    """Of a hazard that is not known here: the queue can be read, used and emptied."""
    queue = session.queue(_QUEUE)
    await queue.get_counts()
    await queue.resume()
    while (await session.play(_TAKE))["jobId"] is not None:
        pass
    await queue.drain(delayed=True)


async def the_manual_limit_held_every_worker(session: Session) -> None:
    """BullMQ's workers without a limit of their own go on taking, which nobody who limits wants."""
    queue = session.queue(_QUEUE)

    assert (await queue.get_counts()).waiting == 2
    assert await queue.remove_rate_limit()
    assert await session.play(_TAKE) == _taken("1")


async def only_the_scheduler_job_was_spared(session: Session) -> None:
    """BullMQ cuts the list by count: the scheduler's job is lost, and an id without a job stays."""
    found = take_snapshot(session.client)
    base = f"{PREFIX}:q:"

    assert found[base + "wait"].value == ["repeat:sch:1700000000001"]
    assert await session.play(_TAKE) == _taken("repeat:sch:1700000000001")


async def the_stalled_job_of_a_scheduler_is_failed(session: Session) -> None:
    """BullMQ recovers it without end, although its successor is made: a crash loop if it kills.

    It is failed like any other job once it exceeds the limit and its successor is there.
    """
    queue = session.queue(_QUEUE)
    job = await queue.get_job("repeat:sch:1700000000000")

    assert job is not None
    assert job.deferred_failure == "job stalled more than allowable limit"


async def everything_of_the_queue_is_gone(session: Session) -> None:
    """BullMQ leaves parents that wait for children, and the rate limit, for ever."""
    left = {key.split(":")[1] for key in take_snapshot(session.client)}

    assert left == {"cq"}


DIFFERENT = {
    "090-stalled-scheduler-job": Hazard(the_stalled_job_of_a_scheduler_is_failed),
    "101-limiter-manual": Hazard(the_manual_limit_held_every_worker),
    "162-obliterate-leftovers": Hazard(everything_of_the_queue_is_gone),
}
"""Vectors of which oxcart's end differs on purpose, though BullMQ's is no hazard."""

HAZARDS = {
    **DIFFERENT,
    "043-take-no-hash": Hazard(the_id_without_a_hash_was_dropped),
    "158-drain-scheduler-waiting": Hazard(only_the_scheduler_job_was_spared),
    "179-mixed-v5-resume-loses-wait": Hazard(the_overwritten_job_is_in_no_state, is_compared=True),
    "180-mixed-v5-resume-no-marker": Hazard(the_job_without_a_marker_is_taken, is_compared=True),
}

_QUEUE: Step = {"queue": "q"}
_TAKE: Step = {"op": "take", "queue": "q", "token": "tok-check", "now": 1_700_001_000_000}


def _taken(job_id: str | None) -> dict[str, Any]:
    return {"jobId": job_id, "rateLimitDelay": 0, "delayUntil": 0}
