from __future__ import annotations

from typing import Any

import pytest
import redis
from tests.integration.lua.keyspace import NOW, PRIORITY, STEP, Keyspace, Table, job

from oxcart import JobState, Queue
from oxcart._store.calls.sweeping import SCAN, Swept, sweep

OLD, YOUNG = str(NOW - 1_000), str(NOW)


async def sweep_once(space: Keyspace, suffix: str, **changes: Any) -> Swept:
    given: dict[str, Any] = {"offset": 0, "limit": 100, "newest_ms": NOW - 500, "emits": True}
    swept: Swept = await space.run(sweep(space.keys, suffix, **given | changes))
    return swept


LISTS = ["wait", "paused", "active"]
SETS = ["delayed", "prioritized", "completed", "failed", "waiting-children"]


def held(suffix: str, scores: dict[str, float]) -> Table:
    """A state's list or set; the list's right end has the lowest score."""
    if suffix in LISTS:
        return {suffix: sorted(scores, key=lambda job_id: -scores[job_id])}
    return {suffix: scores}


@pytest.mark.parametrize("suffix", LISTS + SETS)
async def test_old_jobs_of_a_state_go_with_all_their_keys(space: Keyspace, suffix: str) -> None:
    scores = {"old": float(NOW - 1_000), "young": float(NOW)}
    space.write(held(suffix, scores))
    space.write({"old": job(timestamp=OLD), "young": job(timestamp=YOUNG), "old:logs": ["row"]})

    swept = await sweep_once(space, suffix)

    assert swept.removed == ("old",)
    assert space.read() == {"young": job()} | held(suffix, {"young": float(NOW)})
    assert space.events() == [("cleaned", "1")]


@pytest.mark.parametrize(
    ("times", "is_old"),
    [
        ({"timestamp": OLD}, True),
        ({"timestamp": OLD, "processedOn": YOUNG}, False),
        ({"timestamp": OLD, "processedOn": YOUNG, "finishedOn": OLD}, True),
        ({"timestamp": "yesterday"}, True),
        ({"timestamp": str(NOW - 500)}, True),
        ({"timestamp": str(NOW - 499)}, False),
    ],
)
async def test_age_counts_from_the_end_else_the_take_else_the_add(
    space: Keyspace, times: dict[str, str], is_old: bool
) -> None:
    space.write({"wait": ["1"], "1": job(**times)})

    swept = await sweep_once(space, "wait")

    assert swept.removed == (("1",) if is_old else ())


async def test_active_jobs_with_a_lock_are_spared(space: Keyspace) -> None:
    space.write({"active": ["2", "1"], "1": job(timestamp=OLD), "2": job(timestamp=OLD)})
    space.write({"1:lock": "tok"})

    swept = await sweep_once(space, "active")

    assert swept.removed == ("2",)
    assert space.read()["active"] == ["1"]


async def test_pending_job_of_a_scheduler_is_spared(space: Keyspace) -> None:
    """Each job is taken out by itself: cutting the list by count would lose the spared one."""
    pending, earlier = f"repeat:s:{NOW}", "repeat:s:5"
    space.write({"wait": ["2", pending, earlier, "1"], "repeat": {"s": float(NOW)}})
    space.write({job_id: job() for job_id in ("1", "2")})
    space.write({job_id: job(rjk="s") for job_id in (pending, earlier)})

    swept = await sweep_once(space, "wait", newest_ms=None, emits=False)

    assert swept.removed == ("2", earlier, "1")
    assert space.read() == {
        "wait": [pending], pending: job(rjk="s"), "repeat": {"s": float(NOW)},
    }  # fmt: skip
    assert space.events() == []


@pytest.mark.parametrize("beside", [{}, {"bad": "a string"}, {"bad": ["a", "list"]}])
@pytest.mark.parametrize("suffix", ["wait", "delayed"])
async def test_what_cannot_be_read_counts_as_old(
    space: Keyspace, beside: Table, suffix: str
) -> None:
    space.write(held(suffix, {"bad": 1.0, "1": 2.0}) | {"1": job(timestamp=YOUNG)} | beside)

    swept = await sweep_once(space, suffix)

    assert swept.removed == ("bad",)
    assert "bad" not in space.read()


async def test_offset_and_scan_page_through_a_list_from_the_take_end(space: Keyspace) -> None:
    space.write({"wait": ["4", "3", "2", "1"], **{i: job(timestamp=OLD) for i in "1234"}})

    swept = await sweep_once(space, "wait", offset=1, scan=2)

    assert swept == Swept(2, ("3", "2"))
    assert space.read()["wait"] == ["4", "1"]


@pytest.fixture
def queue(space: Keyspace) -> Queue:
    return Queue("q", prefix=space.keys.prefix, clock=space.clock, store=space.store)


def fill(space: Keyspace, suffix: str, count: int, *, is_old: Any) -> list[str]:
    """Put jobs into a state, in the order in which they are looked at."""
    ids = [f"j{number:05}" for number in range(count)]
    client: Any = space.client
    pipeline = client.pipeline()
    for number, job_id in enumerate(ids):
        pipeline.hset(
            space.keys.job(job_id), mapping=job(timestamp=OLD if is_old(number) else YOUNG)
        )
    pipeline.execute()
    scores = {"prioritized": PRIORITY, "delayed": NOW * STEP}
    space.write(held(suffix, {job_id: scores.get(suffix, 0) + n for n, job_id in enumerate(ids)}))
    return ids


@pytest.mark.parametrize("suffix", ["wait", "prioritized", "delayed"])
async def test_clean_pages_through_more_than_a_call_looks_at(
    space: Keyspace, queue: Queue, suffix: str
) -> None:
    ids = fill(space, suffix, 2 * SCAN + 500, is_old=lambda number: number % 3 == 0)
    state = {"wait": JobState.WAITING}.get(suffix) or JobState(suffix)

    removed = await queue.clean("500ms", state=state)

    expected = ids[::3]
    assert removed == (expected[::-1] if suffix == "wait" else expected)
    found = space.read()
    assert set(found[suffix]) == set(ids) - set(expected)
    assert {key for key in found if key.startswith("j")} == set(ids) - set(expected)


async def test_clean_of_the_finished_goes_on_until_its_limit(space: Keyspace, queue: Queue) -> None:
    count = 2 * SCAN + 500
    ids = fill(space, "completed", count, is_old=lambda _: True)

    removed = await queue.clean("500ms", limit=SCAN + 200, state=JobState.COMPLETED)

    assert removed == ids[: SCAN + 200]


async def test_drain_empties_what_is_ready_and_delayed_if_asked(
    space: Keyspace, queue: Queue, valkey: redis.Redis
) -> None:
    fill(space, "wait", SCAN + 5, is_old=lambda number: number % 2 == 0)
    space.write({"paused": ["p"], "p": job(), "prioritized": {"r": 1.0}, "r": job()})
    space.write({"delayed": {"d": 1.0}, "d": job(), "completed": {"c": 1.0}, "c": job()})
    space.write({"active": ["a"], "a": job(), "a:lock": "tok", "marker": {"0": 0}})

    await queue.drain()
    without_delayed = space.read()
    await queue.drain(delayed=True)

    kept = {
        "completed": {"c": 1.0}, "c": job(), "active": ["a"], "a": job(), "a:lock": "tok",
        "marker": {"0": 0},
    }  # fmt: skip
    assert without_delayed == kept | {"delayed": {"d": 1.0}, "d": job()}
    assert space.read() == kept
    assert space.events() == []
    assert valkey.exists(space.keys.meta)
