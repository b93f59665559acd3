"""What is wrong with a queue, by what was found of it."""

from __future__ import annotations

from typing import Any

import pytest

from oxcart import JobCounts
from oxcart.queue_status import LiveWorker, ProblemKind, QueueStatus, age_text

OLD = LiveWorker(name="old", job_names=("resize", "welcome"), is_registered=True)
NEW = LiveWorker(name="new", job_names=("resize", "welcome", "render"), is_registered=True)
NODE = LiveWorker(name="node")
ANY = LiveWorker(name="any", has_any_handler=True, is_registered=True)


def status_of(counts: JobCounts | None = None, **facts: Any) -> QueueStatus:
    return QueueStatus(name="shop", counts=counts or JobCounts(), **facts)


def kinds_of(status: QueueStatus) -> list[ProblemKind]:
    return [problem.kind for problem in status.problems]


@pytest.mark.parametrize(
    ("workers", "missing"),
    [
        ((OLD,), {"render": 3}),
        ((OLD, OLD), {"render": 3}),
        ((OLD, NEW), {}),
        ((OLD, ANY), {}),
        # Nothing is known of what BullMQ's workers run.
        ((OLD, NODE), {}),
        ((NODE,), {}),
        ((), {}),
        (None, {}),
    ],
)
def test_names_that_no_live_worker_has_a_handler_for_are_found(
    workers: tuple[LiveWorker, ...] | None, missing: dict[str, int]
) -> None:
    status = status_of(waiting_names={"render": 3, "resize": 9}, workers=workers)

    assert missing == status.names_without_worker
    assert bool(missing) is (ProblemKind.UNKNOWN_NAME in kinds_of(status))


def test_sentence_names_the_jobs_and_what_the_workers_have() -> None:
    status = status_of(waiting_names={"render": 3}, workers=(OLD, OLD))

    (problem,) = status.problems
    assert problem.text == (
        "no live worker has a handler for 'render' (3 waiting); "
        "the 2 live workers have: resize, welcome"
    )


def test_sentences_stay_short_with_many_names() -> None:
    many = tuple(f"n{number}" for number in range(50))
    worker = LiveWorker(name="w", job_names=many, is_registered=True)
    names = {f"x{number}": 1 for number in range(20)}

    (problem,) = status_of(waiting_names=names, workers=(worker,)).problems

    assert "and 15 more" in problem.text
    assert len(problem.text) < 250


@pytest.mark.parametrize(
    ("facts", "kinds"),
    [
        ({}, []),
        ({"workers": ()}, []),
        ({"is_paused": True}, ["paused"]),
        ({"counts": JobCounts(waiting=1), "workers": ()}, ["no_worker"]),
        ({"counts": JobCounts(prioritized=1), "workers": ()}, ["no_worker"]),
        # Due, but nothing promotes it without a worker.
        ({"counts": JobCounts(delayed=1), "workers": (), "waiting_names": {"n": 1}}, ["no_worker"]),
        ({"counts": JobCounts(delayed=1), "workers": ()}, []),
        ({"counts": JobCounts(waiting=1), "workers": (NODE,)}, []),
        # The server does not list its connections.
        ({"counts": JobCounts(waiting=1), "workers": None}, []),
        ({"oldest_waiting_s": 900.0}, []),
        ({"oldest_waiting_s": 901.0}, ["long_wait"]),
        ({"unlocked_count": 1}, ["no_lock"]),
        ({"counts": JobCounts(failed=5_000), "failed_lately_count": 10}, []),
        ({"failed_lately_count": 11}, ["failures"]),
    ],
)
def test_problems_by_what_was_found(facts: dict[str, Any], kinds: list[str]) -> None:
    status = status_of(**facts)

    assert kinds == kinds_of(status)
    assert status.is_healthy is not bool(kinds)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"), (59, "59 s"), (60, "1 m 0 s"), (252, "4 m 12 s"), (11_100, "3 h 5 m"),
        (187_300, "2 d 4 h"),
    ],
)  # fmt: skip
def test_age_is_told_in_two_units(seconds: float, text: str) -> None:
    assert text == age_text(seconds)
