from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import PRIORITY, Keyspace, Table, child, job

from oxcart import JobState
from oxcart._store.calls.moving import reprocess

FINISHED = {"finishedOn": "5", "processedOn": "4", "atm": "1", "ats": "2", "pb": "w"}
OWN = {"ox:unknown": "{}", "ox:unrun": "1"}


def finished(state: JobState, **changes: str) -> Table:
    result = {"failedReason": "boom", "stacktrace": "[]"}
    if state is JobState.COMPLETED:
        result = {"returnvalue": "1"}
    return {state.value: {"1": 5.0, "2": 6.0}, "1": job(**FINISHED, **result, **changes)}


async def reprocess_it(
    space: Keyspace, state: JobState = JobState.FAILED, *, resets_attempts: bool = False
) -> int:
    call = reprocess(space.keys, "1", state, resets_attempts=resets_attempts)
    code: int = await space.run(call)
    return code


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.COMPLETED])
@pytest.mark.parametrize("resets_attempts", [False, True])
async def test_finished_job_is_ready_again_without_its_result(
    space: Keyspace, state: JobState, resets_attempts: bool
) -> None:
    space.write(finished(state, **OWN) | {"wait": ["0"]})

    assert await reprocess_it(space, state, resets_attempts=resets_attempts) == 0

    left = {"pb": "w"}
    left |= {} if resets_attempts else {"atm": "1", "ats": "2", "ox:unrun": "1"}
    left |= {"stacktrace": "[]"} if state is JobState.FAILED else {}
    assert space.read() == {
        "1": job(**left), "wait": ["1", "0"], state.value: {"2": 6.0}, "marker": {"0": 0},
    }  # fmt: skip
    assert space.events() == [("waiting", "1", state.value)]


@pytest.mark.parametrize(
    ("options", "wait"),
    [
        ('{"attempts":0}', ["1", "0"]),
        ('{"lifo":true}', ["0", "1"]),
        ('{"lifo":false}', ["1", "0"]),
        ('{"lifo":"true"}', ["1", "0"]),
        ('"lifo"', ["1", "0"]),
        ("{", ["1", "0"]),
        ("", ["1", "0"]),
        ("[" * 5_000, ["1", "0"]),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_job_added_to_the_front_goes_there_again(
    space: Keyspace, options: str, wait: list[str]
) -> None:
    space.write(finished(JobState.FAILED, opts=options) | {"wait": ["0"]})

    assert await reprocess_it(space) == 0

    assert space.read()["wait"] == wait


async def test_priority_is_honoured(space: Keyspace) -> None:
    space.write(finished(JobState.FAILED, priority="3"))

    assert await reprocess_it(space) == 0

    assert space.read()["prioritized"] == {"1": 3 * PRIORITY + 1}


@pytest.mark.parametrize(
    ("before", "code"),
    [
        ({}, -1),
        ({"failed": {"1": 5.0}}, -1),
        ({"failed": {"1": 5.0}, "1": "a string"}, -1),
        ({"completed": {"1": 5.0}, "1": job()}, -3),
        ({"wait": ["1"], "1": job()}, -3),
    ],
)
async def test_job_that_is_not_there_or_elsewhere_is_refused(
    space: Keyspace, before: Table, code: int
) -> None:
    space.write(before)

    assert await reprocess_it(space) == code

    assert space.read() == before
    assert space.events() == []


async def test_paused_queue_wakes_nobody(space: Keyspace) -> None:
    space.write(finished(JobState.FAILED) | {"meta": {"paused": "1"}})

    await reprocess_it(space)

    assert "marker" not in space.read()


@pytest.mark.parametrize(
    ("state", "part"),
    [("completed", "p:processed"), ("failed", "p:failed"), ("failed", "p:unsuccessful")],
)
async def test_child_is_waited_for_again(space: Keyspace, state: str, part: str) -> None:
    """Its parent, which went on long ago, stays where it is."""
    key = space.keys.job("1")
    space.write({"p": job(), "active": ["p"], part: {key: 1.0 if part[-1] == "l" else "1"}})
    space.write({"1": child(space, "p"), state: {"1": 5.0}})

    await space.run(reprocess(space.keys, "1", JobState(state), resets_attempts=False))

    found = space.read()
    assert found["p:dependencies"] == {key}
    assert part not in found
    assert found["active"] == ["p"]


async def test_child_whose_parent_is_gone_is_just_run(space: Keyspace) -> None:
    space.write({"1": child(space, "gone"), "failed": {"1": 5.0}})

    await space.run(reprocess(space.keys, "1", JobState.FAILED, resets_attempts=False))

    assert space.read() == {"1": child(space, "gone"), "wait": ["1"], "marker": {"0": 0}}


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.FAILED])
async def test_job_is_run_again_and_not_failed_for_what_was_before(
    space: Keyspace, state: JobState
) -> None:
    """A parent that is finished is still told of a child's failure."""
    space.write({"1": job(defa="child x failed"), state.value: {"1": 5.0}})

    await space.run(reprocess(space.keys, "1", state, resets_attempts=False))

    assert space.read()["1"] == job()
