"""What other programs may have written: it must not end a script halfway, with jobs put nowhere."""

from __future__ import annotations

from typing import Any

import pytest
from tests.integration.lua.keyspace import NOW, Keyspace, Table, child, job
from tests.integration.lua.steps import FAILED, TOKEN, active, end, ids_of, send

from oxcart import JobOptions, JobSpec, ParentRef, Retention
from oxcart._model.outcome import RateLimited
from oxcart._store.calls.adding import add_jobs, encode_job
from oxcart._store.calls.stepping import TakeRequest, step
from oxcart._store.calls.sweeping import sweep
from oxcart._wire.codes import Code


def waiting(count: int) -> Table:
    """Jobs that wait."""
    names = [f"w{number}" for number in range(count)]
    return {"wait": names, **{name: job() for name in names}}


async def add(space: Keyspace, *specs: JobSpec) -> Any:
    """Add jobs in one batch."""
    encoded = [encode_job(spec, prefix=space.keys.prefix) for spec in specs]
    return await space.run(add_jobs(space.keys, encoded, clock=space.clock, nonce="nonce"))


@pytest.mark.parametrize(
    ("meta", "taken"),
    [
        ({"concurrency": "1.5"}, 2),
        ({"max": "2.5", "duration": "1000"}, 3),
        ({"max": "2", "duration": "333.33"}, 2),
        ({"max": "2", "duration": "0.5"}, 2),
        ({"max": "2", "duration": "inf"}, 2),
        ({"max": "-5", "duration": "1000"}, 0),
    ],
)
async def test_limits_need_not_be_whole(space: Keyspace, meta: dict[str, str], taken: int) -> None:
    space.write(waiting(5) | {"meta": meta})

    assert len(ids_of(await send(space, take=5))) == taken

    assert space.client.llen(space.keys.active) == taken


async def test_limit_below_one_wakes_nobody(space: Keyspace) -> None:
    """Whoever is woken would find nothing, and wake the next."""
    space.write(waiting(1) | {"meta": {"max": "-5", "duration": "1000"}})

    await send(space, take=5)

    assert "marker" not in space.read()


async def test_window_that_holds_no_number_starts_anew(space: Keyspace) -> None:
    space.write(waiting(3) | {"meta": {"max": "2", "duration": "60000"}, "limiter": "garbage"})

    assert len(ids_of(await send(space, take=3))) == 2

    assert space.read()["limiter"] == "2"
    assert space.ttl_ms("limiter") > 0


async def test_handler_may_ask_for_no_wait_at_all(space: Keyspace) -> None:
    space.write(active("1"))

    assert (await send(space, end("1", RateLimited(0)))).codes == (0,)

    # Not the whole table: the limit itself runs out while it is read.
    assert space.client.lrange(space.keys.wait, 0, -1) == [b"1"]


@pytest.mark.parametrize(
    "figures", [{"metrics:completed": "text"}, {"metrics:completed": {"count": "1.5"}}]
)
async def test_figures_that_cannot_be_counted_on_hold_no_job_up(
    space: Keyspace, figures: Table
) -> None:
    space.write(active("1") | figures | {"wait": ["2"], "2": job()})
    take = TakeRequest(count=1, token=TOKEN, lock_ms=30_000)

    reply: Any = await space.run(
        step(
            space.keys,
            [end("1")],
            take,
            clock=space.clock,
            worker_id="w",
            sequence=1,
            metrics_size=5,
        )
    )

    assert (reply.codes, ids_of(reply)) == ((0,), ["2"])


@pytest.mark.parametrize("foreign", [{"de:d": {"a": "hash"}}, {"dn:d": "text"}])
async def test_job_ends_whatever_its_deduplication_key_is(space: Keyspace, foreign: Table) -> None:
    space.write(active("1", deid="d") | foreign)

    assert (await send(space, end("1"))).codes == (0,)

    assert space.read()["completed"] == {"1": NOW}


async def test_job_kept_for_later_is_made_of_what_can_be_read(space: Keyspace) -> None:
    kept = {"jid": "2", "opts": '{"de":{"ttl":0.5}}', "pdk": space.keys.meta}
    space.write(active("1", deid="d") | {"de:d": "1", "dn:d": kept})

    assert (await send(space, end("1"))).codes == (0,)

    found = space.read()
    assert (found["completed"], found["wait"], found["de:d"]) == ({"1": NOW}, ["2"], "2")


async def test_add_takes_a_deduplication_id_over_from_a_key_that_is_none(space: Keyspace) -> None:
    space.write({"de:d": {"a": "hash"}})

    added = await add(space, JobSpec(name="n", options=JobOptions(deduplication="d")))

    assert (added[0].status, space.read()["de:d"]) == (1, added[0].job_id)


async def test_key_that_is_no_job_is_not_made_a_child(space: Keyspace) -> None:
    space.write({"p": job(), "x": "text"})
    options = JobOptions(job_id="x", parent=ParentRef(queue="q", id="p"))

    added = await add(space, JobSpec(name="n", options=options), JobSpec(name="n"))

    assert [result.status for result in added] == [Code.WRONG_TYPE, 1]
    assert "p:dependencies" not in space.read()


async def test_pruned_job_may_have_a_parent_that_is_broken(space: Keyspace) -> None:
    """Else no job of the queue could fail any more."""
    space.write(active("1") | {"failed": {"old": 5.0}, "old": child(space, "p"), "p": job()})
    space.write({"p:dependencies": "text"})

    assert (await send(space, end("1", FAILED, keep=Retention(count=1)))).codes == (0,)

    assert space.read()["failed"] == {"1": NOW}


async def test_swept_job_may_have_a_parent_that_is_broken(space: Keyspace) -> None:
    space.write({"wait": ["1", "2"], "1": child(space, "p"), "2": job(), "p": job()})
    space.write({"p:dependencies": "text"})

    swept: Any = await space.run(
        sweep(space.keys, "wait", offset=0, limit=10, newest_ms=None, emits=False)
    )

    assert sorted(swept.removed) == ["1", "2"]
    assert space.read() == {"p": job(), "p:dependencies": "text"}


async def test_runs_that_keep_differently_prune_no_more_in_one_call(space: Keyspace) -> None:
    """An excess may be there because somebody kept everything before."""
    old = {f"o{number}": float(number + 1) for number in range(3_000)}
    names = [f"r{number}" for number in range(6)]
    space.write(active(*names) | {"completed": old})

    await send(
        space, *(end(name, keep=Retention(count=1 + at % 2)) for at, name in enumerate(names))
    )

    assert len(space.read()["completed"]) == 3_000 + 6 - 1_000
