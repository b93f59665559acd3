"""Deduplicated adds: the queue before and after (wire format, section 7.3)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.integration.lua.keyspace import NOW, STEP, Keyspace, Table, job
from tests.integration.lua.steps import DONE, FAILED, active, end, send

from oxcart import Deduplication, JobOptions, JobSpec
from oxcart._model.outcome import Retried
from oxcart._store.calls.adding import Added, AddStatus, add_jobs, encode_job

HOUR = 3_600_000
KEPT: Table = {"dn:d": {"name": "old", "data": "{}", "opts": "{}", "jid": "x"}}


async def add(space: Keyspace, job_id: str = "new", *, delay: str = "0s", **dedup: Any) -> Added:
    """Add a job with the deduplication id ``d``."""
    given = Deduplication(id="d", **dedup)
    options = JobOptions(job_id=job_id, delay=delay, deduplication=given, attempts=0)
    encoded = encode_job(JobSpec(name="n", options=options), prefix=space.keys.prefix)
    [added] = await space.run(add_jobs(space.keys, [encoded], clock=space.clock, nonce=job_id))
    assert isinstance(added, Added)
    return added


def holder(state: str) -> Table:
    """A job that holds the id, in a state."""
    places: dict[str, Table] = {
        "wait": {"wait": ["h"]},
        "delayed": {"delayed": {"h": (NOW + 500) * STEP}},
        "active": active("h"),
    }
    return places[state] | {"h": job(deid="d", delay="500"), "de:d": "h"}


@pytest.mark.parametrize(
    ("dedup", "expires"),
    [
        ({}, False),
        ({"ttl": "1h"}, True),
        ({"ttl": "1h", "extend": True}, True),
        ({"ttl": "1h", "replace": True}, True),
        ({"ttl": "1h", "keep_last_if_active": True}, False),
    ],
)
async def test_first_job_holds_the_id(
    space: Keyspace, dedup: dict[str, Any], expires: bool
) -> None:
    added = await add(space, **dedup)

    found = space.read()
    assert added.status == AddStatus.ADDED
    assert found["de:d"] == "new"
    assert found["new"]["deid"] == "d"
    assert (space.ttl_ms("de:d") > 0) is expires


@pytest.mark.parametrize("state", ["wait", "delayed", "active"])
async def test_second_job_is_dropped_and_the_holder_answered(space: Keyspace, state: str) -> None:
    before = holder(state)
    space.write(before)

    added = await add(space)

    assert (added.job_id, added.status) == ("h", AddStatus.DEDUPLICATED)
    assert space.read() == before | {"id": "1"}
    assert space.events() == [("deduplicated", "h", "d", "new")]


@pytest.mark.parametrize(("extend", "is_renewed"), [(False, False), (True, True)])
async def test_time_of_the_holder_is_renewed_only_if_asked_for(
    space: Keyspace, extend: bool, is_renewed: bool
) -> None:
    space.write(holder("wait"))
    space.client.pexpire(space.keys.deduplication("d"), 60_000)

    await add(space, ttl="1h", extend=extend)

    assert (space.ttl_ms("de:d") > 60_000) is is_renewed


async def test_delayed_holder_is_replaced(space: Keyspace) -> None:
    space.write(holder("delayed") | KEPT)

    added = await add(space, delay="2s", replace=True)

    assert (added.job_id, added.status) == ("new", AddStatus.ADDED)
    found = space.read()
    assert "h" not in found
    assert "dn:d" not in found
    assert found["de:d"] == "new"
    assert found["delayed"] == {"new": (NOW + 2_000) * STEP}
    assert space.events()[:2] == [("removed", "h", "delayed"), ("deduplicated", "new", "d", "h")]


@pytest.mark.parametrize(("ttl", "extend", "most"), [("1h", False, 60_000), ("1h", True, HOUR)])
async def test_replacing_job_has_the_old_time_unless_it_extends_it(
    space: Keyspace, ttl: str, extend: bool, most: int
) -> None:
    space.write(holder("delayed"))
    space.client.pexpire(space.keys.deduplication("d"), 60_000)

    await add(space, delay="2s", replace=True, ttl=ttl, extend=extend)

    assert most - 30_000 < space.ttl_ms("de:d") <= most


@pytest.mark.parametrize("state", ["wait", "active"])
async def test_holder_that_is_not_delayed_is_not_replaced(space: Keyspace, state: str) -> None:
    before = holder(state)
    space.write(before)

    added = await add(space, replace=True)

    assert (added.job_id, added.status) == ("h", AddStatus.DEDUPLICATED)
    assert space.read() == before | {"id": "1"}
    assert space.events() == []


async def test_delayed_holder_takes_over_the_new_delay(space: Keyspace) -> None:
    space.write(holder("delayed"))

    await add(space, delay="9s", reschedule=True)

    found = space.read()
    assert found["h"] == job(deid="d", delay="9000")
    assert found["delayed"] == {"h": (NOW + 9_000) * STEP}
    assert found["marker"] == {"1": NOW + 9_000}
    assert space.events()[1:] == [("delayed", "h", str(NOW + 9_000))]


async def test_id_of_a_job_that_is_gone_is_free(space: Keyspace) -> None:
    space.write({"de:d": "gone", **KEPT})

    added = await add(space)

    assert added.status == AddStatus.ADDED
    found = space.read()
    assert found["de:d"] == "new"
    assert "dn:d" not in found


async def test_id_that_is_held_for_a_time_stays_when_the_job_is_gone(space: Keyspace) -> None:
    space.write({"de:d": "gone"})
    space.client.pexpire(space.keys.deduplication("d"), 60_000)

    assert (await add(space)).job_id == "gone"


@pytest.mark.parametrize("ending", ["complete", "fail"])
async def test_last_of_the_jobs_dropped_while_the_holder_runs_follows_it(
    space: Keyspace, ending: str
) -> None:

    space.write(holder("active"))
    for job_id in ("first", "last"):
        assert (await add(space, job_id, keep_last_if_active=True)).job_id == "h"
    kept = space.read()["dn:d"]
    space.clock.ms += 7

    await send(space, end("h", DONE if ending == "complete" else FAILED, attempts=2))

    assert kept["jid"] == "last"
    found = space.read()
    assert found["wait"] == ["last"]
    assert found["de:d"] == "last"
    assert found["last"]["timestamp"] == str(NOW + 7)
    assert found["marker"] == {"0": 0}
    assert not {"dn:d", "first"} & found.keys()
    names = [event[:2] for event in space.events()]
    assert names[2:] == [
        ("added", "last"), ("waiting", "last"), (f"{ending.removesuffix('e')}ed", "h"),
    ]  # fmt: skip


async def test_end_of_the_holder_frees_the_id_but_a_retry_does_not(space: Keyspace) -> None:

    space.write(holder("active"))
    await send(space, end("h", Retried("r", "t", 0)), take=1)
    held = space.read()["de:d"]

    await send(space, end("h", DONE))

    assert held == "h"
    assert "de:d" not in space.read()


async def test_id_held_for_a_time_outlives_its_holder(space: Keyspace) -> None:
    space.write(holder("active"))
    space.client.pexpire(space.keys.deduplication("d"), 60_000)

    await send(space, end("h"))

    assert space.read()["de:d"] == "h"
