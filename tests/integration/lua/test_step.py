"""Ending runs. Taking is in ``test_step_take.py``, sending twice in ``test_step_replay.py``."""

from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import NOW, PRIORITY, STEP, Keyspace, Table, job
from tests.integration.lua.steps import FAILED, TOKEN, active, end, ids_of, run_job, send

from oxcart import Retention
from oxcart._model.outcome import (
    Completed,
    Delayed,
    Failed,
    GivenBack,
    Outcome,
    PutBack,
    Retried,
)

FAILURE = {"failedReason": "boom", "stacktrace": '["trace"]'}


@pytest.mark.parametrize(
    ("outcome", "after", "events"),
    [
        (
            Completed(b'{"r":1}'),
            {
                "1": run_job(returnvalue='{"r":1}', atm="1", finishedOn=str(NOW)),
                "completed": {"1": NOW},
            },
            [("completed", "1", '{"r":1}', "active"), ("drained",)],
        ),
        (
            FAILED,
            {"1": run_job(**FAILURE, atm="1", finishedOn=str(NOW)), "failed": {"1": NOW}},
            [("failed", "1", "boom", "active"), ("retries-exhausted", "1", "1"), ("drained",)],
        ),
        (
            Retried("boom", "trace", 0),
            {"1": run_job(**FAILURE, atm="1"), "wait": ["1"], "marker": {"0": 0}},
            [("waiting", "1", "active")],
        ),
        (
            Retried("boom", "trace", 700),
            {
                "1": run_job(**FAILURE, atm="1") | {"delay": "700"},
                "delayed": {"1": (NOW + 700) * STEP},
                "marker": {"1": NOW + 700},
            },
            [("delayed", "1", str(NOW + 700))],
        ),
        (
            Delayed(900),
            {
                "1": run_job() | {"delay": "900"},
                "delayed": {"1": (NOW + 900) * STEP},
                "marker": {"1": NOW + 900},
            },
            [("delayed", "1", str(NOW + 900))],
        ),
        (
            PutBack(900, b'{"n":1}'),
            {
                "1": run_job() | {"delay": "900", "ox:unknown": '{"n":1}', "ox:unrun": "1"},
                "delayed": {"1": (NOW + 900) * STEP},
                "marker": {"1": NOW + 900},
            },
            [("delayed", "1", str(NOW + 900))],
        ),
        (
            Delayed(0, until_ms=NOW - 60_000),
            {"1": run_job(), "delayed": {"1": NOW * STEP}, "marker": {"1": NOW}},
            [("delayed", "1", str(NOW))],
        ),
        (
            GivenBack(),
            {"1": run_job(), "wait": ["1"], "marker": {"0": 0}},
            [("waiting", "1", "active")],
        ),
    ],
)
async def test_run_ends_as_its_outcome_says(
    space: Keyspace, outcome: Outcome, after: Table, events: list[tuple[str, ...]]
) -> None:
    space.write(active("1") | {"stalled": {"1"}})

    reply = await send(space, end("1", outcome))

    assert reply.codes == (0,)
    assert space.read() == after
    assert space.events() == events


@pytest.mark.parametrize(
    ("before", "code"),
    [
        ({}, -1),
        ({"1": job(), "1:lock": "other", "active": ["1"]}, -6),
        ({"1": job(), "active": ["1"]}, -2),
        ({"1": "not a job", "active": ["1"], "1:lock": TOKEN}, -1),
    ],
)
@pytest.mark.parametrize(
    "outcome",
    [Completed(b"1"), FAILED, Retried("r", "t", 0), Retried("r", "t", 5), Delayed(5), GivenBack()],
    ids=lambda outcome: type(outcome).__name__,
)
async def test_run_that_is_not_ours_changes_nothing(
    space: Keyspace, before: Table, code: int, outcome: Outcome
) -> None:
    space.write(before)

    reply = await send(space, end("1", outcome))

    assert reply.codes == (code,)
    assert space.read() == before
    assert space.events() == []


async def test_job_that_left_active_meanwhile_keeps_what_was_written(space: Keyspace) -> None:
    space.write({"1": job(), "1:lock": TOKEN, "wait": ["1"]})

    reply = await send(space, end("1", FAILED))

    assert reply.codes == (-3,)
    assert space.read() == {"1": job(**FAILURE), "wait": ["1"]}


async def test_one_step_ends_and_takes_many(space: Keyspace) -> None:
    space.write(active("5", "4", "3", "2", "1"))
    space.write({"wait": ["8", "7", "6"], "6": job(), "7": job(), "8": job()})

    reply = await send(
        space,
        end("1", Completed(b"1")),
        end("2", FAILED),
        end("gone"),
        end("3", Retried("boom", "trace", 0)),
        end("4", Retried("boom", "trace", 50)),
        end("5", GivenBack()),
        take=3,
        token="next",
    )

    assert reply.codes == (0, 0, -1, 0, 0, 0)
    assert ids_of(reply) == ["5", "6", "7"]
    found = space.read()
    places = {
        suffix: found.get(suffix) for suffix in ("active", "wait", "completed", "failed", "delayed")
    }
    assert places == {
        "active": ["7", "6", "5"],
        "wait": ["3", "8"],
        "completed": {"1": NOW},
        "failed": {"2": NOW},
        "delayed": {"4": (NOW + 50) * STEP},
    }
    locks = {suffix: value for suffix, value in found.items() if suffix.endswith(":lock")}
    assert locks == {"5:lock": "next", "6:lock": "next", "7:lock": "next"}
    assert [event[:2] for event in space.events()] == [
        ("completed", "1"), ("failed", "2"), ("retries-exhausted", "2"), ("waiting", "3"),
        ("delayed", "4"), ("waiting", "5"), ("active", "5"), ("active", "6"), ("active", "7"),
    ]  # fmt: skip


async def test_taking_less_than_asked_for_still_marks_the_job_put_off(space: Keyspace) -> None:
    space.write(active("1") | {"wait": ["2"], "2": job()})

    reply = await send(space, end("1", Delayed(400)), take=2)

    assert ids_of(reply) == ["2"]
    assert reply.next_due_ms == NOW + 400
    assert space.read()["marker"] == {"0": 0, "1": NOW + 400}


async def test_prioritized_jobs_go_back_to_their_priority(space: Keyspace) -> None:
    space.write(active("2", "1"))
    space.client.hset(space.keys.job("1"), "priority", 3)
    space.client.hset(space.keys.job("2"), "priority", 3)
    space.write({"pc": "7", "prioritized": {"other": 3 * PRIORITY + 7}})

    await send(space, end("1", Retried("boom", "trace", 0)), end("2", GivenBack()))

    assert space.read()["prioritized"] == {
        "2": 3 * PRIORITY, "other": 3 * PRIORITY + 7, "1": 3 * PRIORITY + 8,
    }  # fmt: skip


async def test_job_that_goes_back_before_it_began_has_not_been_started(space: Keyspace) -> None:
    space.write(active("2", "1"))

    await send(space, end("1", GivenBack()), end("2", GivenBack(is_unrun=True)))

    found = space.read()
    assert [None, "1"] == [found[job_id].get("ox:unrun") for job_id in ("1", "2")]


async def test_lifo_job_is_retried_next(space: Keyspace) -> None:
    space.write(active("1") | {"wait": ["2"], "2": job()})

    await send(space, end("1", Retried("boom", "trace", 0), lifo=True))

    assert space.read()["wait"] == ["2", "1"]


async def test_counters_that_hold_no_number_start_anew(space: Keyspace) -> None:
    """One job's broken field must not end the step for the others, halfway."""
    space.write(active("2", "1"))
    space.client.hset(space.keys.job("1"), "atm", "many")

    reply = await send(space, end("1", FAILED), end("2"))

    assert reply.codes == (0, 0)
    found = space.read()
    assert (found["1"]["atm"], found["2"]["atm"]) == ("1", "1")


async def test_deferred_failure_is_gone_once_the_job_failed(space: Keyspace) -> None:
    space.write(active("1", defa="stalled"))

    await send(space, end("1", FAILED))

    assert "defa" not in space.read()["1"]


async def test_not_kept_job_is_removed_with_all_its_keys(space: Keyspace) -> None:
    parts = {"1:logs": ["row"], "1:dependencies": {"a"}, "1:processed": {"a": "1"}}
    space.write(active("1") | parts | {"1:failed": {"a": "x"}, "1:unsuccessful": {"a": 1}})

    await send(space, end("1", FAILED, attempts=2, keep=Retention.NONE))

    assert space.read() == {}
    assert [event[0] for event in space.events()] == ["failed", "drained"]


def finished(count: int, *, first_ms: int = NOW - 100_000) -> Table:
    """Completed jobs ``c0``, ``c1``, ... a millisecond apart."""
    table: Table = {f"c{number}": job() for number in range(count)}
    return table | {"completed": {f"c{number}": first_ms + number for number in range(count)}}


async def test_retention_by_count_is_bounded_and_goes_on_with_the_next_finish(
    space: Keyspace,
) -> None:
    space.write(finished(2_500) | active("3", "2", "1"))
    keep = Retention(count=10)

    left = []
    for job_id in ("1", "2", "3"):
        await send(space, end(job_id, keep=keep))
        left.append(space.client.zcard(space.keys.completed))

    assert left == [1_501, 502, 10]
    hashes: list[bytes] = list(space.client.scan_iter(match=f"{space.keys.base}c*", count=5_000))
    assert len(hashes) == 7 + 1  # seven of the old ones, and the set


async def test_retention_by_age_removes_at_most_a_thousand_the_newest_of_them_first(
    space: Keyspace,
) -> None:
    space.write(finished(1_200) | active("1"))

    await send(space, end("1", keep=Retention(age="10s")))

    assert space.read()["completed"] == {
        **{f"c{number}": NOW - 100_000 + number for number in range(200)}, "1": NOW,
    }  # fmt: skip


async def test_retention_by_age_keeps_what_is_younger(space: Keyspace) -> None:
    space.write({"completed": {"old": NOW - 10_000, "young": NOW - 9_999}})
    space.write({"old": job(), "young": job()} | active("1"))

    await send(space, end("1", keep=Retention(age="10s", count=100)))

    assert space.read()["completed"] == {"young": NOW - 9_999, "1": NOW}


async def test_each_run_of_a_batch_prunes_with_its_own_retention(space: Keyspace) -> None:
    """As if they had finished one after the other: a later job that is kept stays."""
    space.write(finished(5) | active("3", "2", "1"))

    await send(
        space,
        end("1", keep=Retention(count=2)),
        end("2", keep=Retention.ALL),
        end("3", keep=Retention.ALL),
    )

    assert set(space.read()["completed"]) == {"c4", "1", "2", "3"}


async def test_run_that_does_not_finish_its_job_prunes_nothing(space: Keyspace) -> None:
    older = {"completed": {"8": NOW - 2, "9": NOW - 1}, "8": job(), "9": job()}
    space.write({**active("1"), "active": ["7"], "7": run_job(), **older})

    reply = await send(space, end("1", keep=Retention(count=1)))

    assert reply.codes == (-3,)
    assert space.read()["completed"] == older["completed"]


async def test_retention_of_failures_leaves_completed_jobs_alone(space: Keyspace) -> None:
    space.write(finished(5) | active("1") | {"failed": {"f": NOW - 1}, "f": job()})

    await send(space, end("1", FAILED, keep=Retention(count=1)))

    found = space.read()
    assert (len(found["completed"]), found["failed"]) == (5, {"1": NOW})
    assert "f" not in found


@pytest.mark.parametrize(
    ("beside", "take", "is_drained"),
    [
        ({}, 0, True),
        ({}, 5, True),
        ({"wait": ["2"], "2": job()}, 0, False),
        ({"prioritized": {"2": 1}, "2": job()}, 0, False),
        ({"delayed": {"2": (NOW + 9) * STEP}, "2": job()}, 0, True),
        ({"delayed": {"2": (NOW + 9) * STEP}, "2": job()}, 1, False),
        ({"meta": {"paused": "1"}}, 1, False),
    ],
)
async def test_drained_is_told_when_nothing_is_left(
    space: Keyspace, beside: Table, take: int, is_drained: bool
) -> None:
    space.write(active("1") | beside)

    await send(space, end("1"), take=take)

    assert (("drained",) in space.events()) is is_drained


async def test_drained_is_told_once_for_a_batch(space: Keyspace) -> None:
    space.write(active("3", "2", "1"))

    await send(space, end("1"), end("2"), end("3"))

    assert [event[0] for event in space.events()] == ["completed"] * 3 + ["drained"]


async def test_failure_before_the_last_attempt_is_not_exhausted(space: Keyspace) -> None:
    space.write(active("1"))

    await send(space, end("1", Failed("forbidden", "trace"), attempts=5))

    assert [event[0] for event in space.events()] == ["failed", "drained"]


async def test_long_stream_is_trimmed_before_the_own_events(space: Keyspace) -> None:
    space.write(active("1") | {"meta": {"opts.maxLenEvents": "100"}})
    pipeline = space.client.pipeline()
    for number in range(1_000):
        pipeline.xadd(space.keys.events, {"event": "old", "n": str(number)})
    pipeline.execute()

    await send(space, end("1"))

    assert len(space.events()) < 300
    assert [event[0] for event in space.events()[-2:]] == ["completed", "drained"]


async def test_retry_promotes_due_jobs_even_if_its_own_job_is_lost(space: Keyspace) -> None:
    space.write({"delayed": {"d": NOW * STEP}, "d": job(delay="5")})

    reply = await send(space, end("gone", Retried("boom", "trace", 0)))

    assert reply.codes == (-1,)
    assert space.read() == {"wait": ["d"], "d": job(), "marker": {"0": 0}}


async def test_jobs_put_back_lately_are_in_a_set_that_expires(space: Keyspace) -> None:
    space.write({**active("1"), "oxcart:unknown-jobs": {"old": NOW - 200_000, "2": NOW - 60_000}})

    await send(space, end("1", PutBack(900, b"{}")))

    found = space.client.zrange(space.keys.private("unknown", "jobs"), 0, -1, withscores=True)
    assert [(b"2", NOW - 60_000), (b"1", NOW + 900)] == found
    assert 0 < space.ttl_ms("oxcart:unknown-jobs") <= 150_000


async def test_job_that_fails_loses_its_note(space: Keyspace) -> None:
    space.write(active("1", **{"ox:unknown": "{}", "ox:unrun": "2"}))

    await send(space, end("1", FAILED))

    assert {"ox:unrun"} == {name for name in space.read()["1"] if name.startswith("ox:")}
