from __future__ import annotations

from typing import Any

import pytest
from tests.integration.lua.keyspace import NOW, PRIORITY, STEP, Keyspace, Table, job

from oxcart._model.unknown import SeenBy, UnknownJob, UnknownKind
from oxcart._store.calls import unknown
from oxcart._wire.codec import encode_unknown

DUE = NOW + 20_000
ME = SeenBy("me", "b2")


async def promote_known(
    space: Keyspace, names: list[str] | None, *, worker: SeenBy = ME, count: int = 10
) -> int:
    call = unknown.promote_known(space.keys, names, worker=worker, count=count)
    promoted: int = await space.run(call)
    return promoted


def note(*seen_by: SeenBy, kind: UnknownKind = UnknownKind.PAYLOAD) -> str:
    unknown_job = UnknownJob(kind=kind, reason="why", first_seen_at_ms=NOW, seen_by=seen_by)
    return encode_unknown(unknown_job).decode()


def put_back(*job_ids: str, due: int = DUE, **changes: str) -> Table:
    """Jobs that were put back as unknown, as the step leaves them."""
    note = {"delay": "20000", "ox:unknown": "{}", "ox:unrun": "1"}
    return {
        **{job_id: job(**{**note, **changes}) for job_id in job_ids},
        "delayed": {job_id: due * STEP + at for at, job_id in enumerate(job_ids)},
        "oxcart:unknown-jobs": dict.fromkeys(job_ids, due),
    }


@pytest.mark.parametrize("names", [["other", "n"], None], ids=["by name", "any"])
async def test_jobs_that_the_worker_knows_become_ready(
    space: Keyspace, names: list[str] | None
) -> None:
    space.write({**put_back("1", "2"), "wait": ["last"]})

    assert await promote_known(space, names) == 2

    after: Any = space.read()
    assert ["last", "1", "2"] == after["wait"]
    assert not {"delayed", "marker"} & after.keys()
    assert 0 == await space.run(unknown.count_unknown(space.keys))
    assert "0" == after["1"]["delay"]
    assert space.events() == [("waiting", "1", "delayed"), ("waiting", "2", "delayed")]


async def test_job_keeps_its_priority(space: Keyspace) -> None:
    space.write(put_back("1", priority="7"))

    assert await promote_known(space, ["n"]) == 1

    assert space.read()["prioritized"] == {"1": 7 * PRIORITY}


async def test_jobs_of_other_names_stay_delayed(space: Keyspace) -> None:
    space.write(put_back("1"))
    before = space.read()

    assert await promote_known(space, ["other"]) == 0

    assert space.read() == before


async def test_job_that_was_delayed_again_since_stays_so(space: Keyspace) -> None:
    """Another worker ran it, and it waits for its next attempt."""
    space.write(put_back("1"))
    space.write({"delayed": {"1": (DUE + 500) * STEP}})
    before = space.read()

    assert await promote_known(space, ["n"]) == 0

    assert space.read() == before


@pytest.mark.parametrize("beside", [{}, {"1": "a string"}])
async def test_id_without_a_readable_job_is_passed_over(space: Keyspace, beside: Table) -> None:
    space.write({"delayed": {"1": DUE * STEP}, "oxcart:unknown-jobs": {"1": DUE}, **beside})
    before = space.read()

    assert await promote_known(space, None) == 0

    assert space.read() == before


@pytest.mark.parametrize(
    ("text", "worker", "is_promoted"),
    [
        (note(SeenBy("other", "b1")), ME, True),
        (note(SeenBy("me", "b1")), ME, False),
        (note(SeenBy("other", "b2")), ME, False),
        (note(SeenBy("other")), SeenBy("me"), True),
        (note(SeenBy("me"), kind=UnknownKind.NAME), ME, True),
        (note(*(SeenBy(f"w{number}") for number in range(5))), SeenBy("me"), False),
        (note(*(SeenBy(f"w{number}") for number in range(5))), ME, True),
        ("{", ME, True),
    ],
)
async def test_payload_that_did_not_fit_the_build_is_left_to_another(
    space: Keyspace, text: str, worker: SeenBy, is_promoted: bool
) -> None:
    space.write(put_back("1", due=DUE, **{"ox:unknown": text}))

    assert is_promoted == await promote_known(space, ["n"], worker=worker)


async def test_job_that_a_worker_of_another_kind_ran_since_is_left(space: Keyspace) -> None:
    space.write(put_back("1"))
    space.client.hdel(space.keys.job("1"), "ox:unknown")

    assert await promote_known(space, None) == 0


@pytest.mark.parametrize(("count", "looked_at"), [(2, 1_000), (10, 2)])
async def test_one_call_moves_and_looks_at_a_bounded_number(
    space: Keyspace, monkeypatch: pytest.MonkeyPatch, count: int, looked_at: int
) -> None:
    monkeypatch.setattr(unknown, "LOOKED_AT", looked_at)
    space.write(put_back("1", "2", "3"))

    assert await promote_known(space, None, count=count) == 2


@pytest.mark.parametrize(
    "held", [{"meta": {"paused": "1"}}, {"meta": {"concurrency": "1"}, "active": ["9"]}]
)
async def test_queue_that_is_held_back_stays_as_it_is(space: Keyspace, held: Table) -> None:
    space.write({**put_back("1"), **held})
    before = space.read()

    assert await promote_known(space, None) == 0

    assert before == space.read()
