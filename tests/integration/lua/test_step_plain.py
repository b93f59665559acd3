"""The step of the usual kind: it leaves what the whole step leaves, or does nothing at all."""

from __future__ import annotations

from typing import Any

import pytest
from tests.integration.lua.keyspace import NOW, PRIORITY, STEP, Keyspace, Table, child, job
from tests.integration.lua.steps import FAILED, TOKEN, active, end, run_job

from oxcart import RateLimit, Retention
from oxcart._store.calls.stepping import (
    EndedRun,
    StepReply,
    TakeRequest,
    may_be_plain,
    plain_step,
    step,
)

WORKER = "w"
META = {"opts.maxLenEvents": "10000"}


async def send_by(
    build: Any,
    space: Keyspace,
    *runs: EndedRun,
    take: int = 0,
    sequence: int = 0,
    worker_name: str | None = None,
    metrics_size: int = 0,
) -> StepReply | None:
    call = build(
        space.keys,
        runs,
        TakeRequest(count=take, token="new", lock_ms=30_000, worker_name=worker_name),
        clock=space.clock,
        worker_id=WORKER,
        sequence=sequence,
        metrics_size=metrics_size,
    )
    reply: StepReply | None = await space.run(call)
    return reply


def waiting(*job_ids: str) -> Table:
    return {"wait": list(job_ids), **{job_id: job() for job_id in job_ids}}


NONE, ALL = Retention.NONE, Retention.ALL
SCENES: dict[str, tuple[Table, list[EndedRun], dict[str, Any]]] = {
    "nothing at all": ({}, [], {"take": 3}),
    "takes all there is": (waiting("1", "2"), [], {"take": 3, "worker_name": "me"}),
    "takes some of it": (waiting("1", "2", "3"), [], {"take": 2}),
    "takes prioritized ones last": (
        {**waiting("1"), "prioritized": {"2": PRIORITY + 1}, "2": job(priority="1"), "pc": "1"},
        [],
        {"take": 5},
    ),
    "takes a job for the third time": ({"wait": ["1"], "1": job(ats="2")}, [], {"take": 1}),
    "takes a job whose count is no number": (
        {"wait": ["1"], "1": job(ats="many")},
        [],
        {"take": 1},
    ),
    "drops what is no job": ({**waiting("2"), "wait": ["2", "1", "0:5"]}, [], {"take": 3}),
    "keeps all": (active("2", "1"), [end("1", keep=ALL), end("2", keep=ALL)], {}),
    "keeps none": (active("2", "1"), [end("1", keep=NONE), end("2", keep=NONE)], {}),
    "ends in another order": (
        active("3", "2", "1"),
        [end("2", keep=NONE), end("1", keep=NONE)],
        {"take": 1},
    ),
    "ends and takes": (active("1") | waiting("2"), [end("1", keep=NONE)], {"take": 1}),
    "counts an attempt after others": (active("1", atm="2"), [end("1")], {}),
    "counts an attempt after none that is a number": (active("1", atm="x"), [end("1")], {}),
    "forgets that it was thought stalled": (
        active("1", "2") | {"stalled": {"1", "2"}},
        [end("1")],
        {},
    ),
    "counts for the metrics": (
        active("1") | {"metrics:completed": {"count": "1", "prevTS": "0", "prevCount": "0"}},
        [end("1")],
        {"metrics_size": 10},
    ),
    "ends a run that is not in the active list": (
        active("1") | {"active": ["7"], "7": run_job()},
        [end("1", keep=NONE)],
        {},
    ),
    "tells when the next job is due": (
        {"delayed": {"9": (NOW + 700) * STEP}, "9": job(delay="700")},
        [],
        {"take": 1},
    ),
}


@pytest.mark.parametrize("scene", SCENES)
async def test_plain_step_leaves_and_answers_what_the_whole_step_does(
    space: Keyspace, scene: str
) -> None:
    table, runs, given = SCENES[scene]
    whole = space.beside("whole")
    for each in (space, whole):
        each.write({**table, "meta": META})

    expected = await send_by(step, whole, *runs, **given)
    found = await send_by(plain_step, space, *runs, **given)

    assert found == expected
    assert space.read() == whole.read()
    assert space.events() == whole.events()


@pytest.mark.parametrize(
    ("table", "runs"),
    [
        ({"delayed": {"9": NOW * STEP}, "9": job()}, []),
        ({"meta": {**META, "paused": "1"}}, []),
        ({"meta": {**META, "concurrency": "1"}}, []),
        ({"meta": {**META, "max": "5", "duration": "100"}}, []),
        ({"meta": {"opts.maxLenEvents": "many"}}, []),
        (active("1") | {"meta": {"opts.maxLenEvents": "-1"}}, [end("1")]),
        (active("1") | {"meta": {"opts.maxLenEvents": "1.5"}}, [end("1")]),
        ({"limiter": "3"}, []),
        ({"events": "not a stream"}, []),
        ({"completed": ["not", "a", "set"]}, []),
        ({"marker": {"a set"}}, []),
        ({"meta": "not a hash"}, []),
        ({"delayed": "not a set"}, []),
        (active("2", "1") | {"2:dependencies": {"bull:q:8"}}, [end("1"), end("2")]),
        (active("2", "1") | {"2:unsuccessful": {"bull:q:8": 1}}, [end("1"), end("2")]),
        (active("2", "1") | {"2": run_job(deid="d")}, [end("1"), end("2")]),
        (active("2", "1") | {"2": run_job(defa="no")}, [end("1"), end("2")]),
        (active("2", "1") | {"2": job()}, [end("1"), end("2")]),
        (active("2", "1") | {"2": "no hash"}, [end("1"), end("2")]),
        (active("2", "1") | {"2:lock": "another"}, [end("1"), end("2")]),
        (active("2", "1"), [end("1"), end("1")]),
        (active("2", "1"), [end("1"), end("2", token="another")]),
        (active("2", "1"), [end("1"), end("3")]),
    ],
    ids=str,
)
async def test_whatever_is_not_plain_is_left_to_the_whole_step(
    space: Keyspace, table: Table, runs: list[EndedRun]
) -> None:
    space.write({"meta": META, **waiting("50"), **table})
    before = space.read(without="")

    assert await send_by(plain_step, space, *runs, take=1) is None
    assert space.read(without="") == before


async def test_child_is_left_to_the_whole_step(space: Keyspace) -> None:
    table = active("1") | {"1": child(space.beside("up"), "p", processedOn=str(NOW))}
    space.write({"meta": META, **table})
    before = space.read(without="")

    assert await send_by(plain_step, space, end("1")) is None
    assert space.read(without="") == before


async def test_plain_step_sent_again_is_answered_as_before(space: Keyspace) -> None:
    space.write({"meta": META, **waiting("1", "2"), **active("3")})
    given: dict[str, Any] = {"take": 1, "sequence": 7}

    first = await send_by(plain_step, space, end("3"), **given)
    again = await send_by(plain_step, space, end("3"), **given)
    late = await send_by(step, space, end("3"), take=1, sequence=6)

    assert first is not None
    assert again is not None
    assert late is not None
    assert ([job.job_id for job in first.taken], first.codes) == (["2"], (0,))
    assert ([job.job_id for job in again.taken], again.codes) == (["2"], (0,))
    assert (late.taken, late.codes) == ((), ())
    assert space.read()["wait"] == ["1"]


async def test_events_are_trimmed(space: Keyspace) -> None:
    space.write({"meta": {"opts.maxLenEvents": "10"}, **active("1")})
    for _ in range(1_000):
        space.client.xadd(space.keys.events, {"event": "old"})

    await send_by(plain_step, space, end("1"))

    length: Any = space.client.xlen(space.keys.events)
    assert length < 300


@pytest.mark.parametrize(
    ("runs", "limit", "expected"),
    [
        ([], None, True),
        ([end("1"), end("2", keep=ALL)], None, True),
        ([end("1", keep=NONE), end("2", keep=Retention(count=0))], None, True),
        ([end("1", keep=NONE), end("2", keep=ALL)], None, False),
        ([end("1", keep=Retention(count=5))], None, False),
        ([end("1", keep=Retention(age="1h"))], None, False),
        ([end("1"), end("2", FAILED)], None, False),
        ([], RateLimit(max=1, per="1s"), False),
    ],
)
def test_which_steps_may_be_plain(
    runs: list[EndedRun], limit: RateLimit | None, *, expected: bool
) -> None:
    take = TakeRequest(count=1, token=TOKEN, lock_ms=1, limit=limit)

    assert may_be_plain(runs, take) is expected
