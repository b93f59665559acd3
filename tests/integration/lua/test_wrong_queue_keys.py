"""A queue one of whose own keys another program made something else of.

Scripts are not rolled back: found out halfway, ids would be popped and put nowhere.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.integration.lua.keyspace import NOW, STEP, Keyspace, job
from tests.integration.lua.steps import active, end, send

from oxcart import JobOptions, JobSpec
from oxcart._store.calls.adding import add_jobs, encode_job
from oxcart.errors import WrongKeyType

STEP_KEYS = [
    "wait", "active", "prioritized", "delayed", "completed", "failed", "stalled", "marker", "meta",
    "events", "pc",
]  # fmt: skip
ADD_KEYS = ["wait", "active", "prioritized", "delayed", "marker", "meta", "events", "pc"]


def break_key(space: Keyspace, suffix: str) -> Any:
    """Make a key of a queue with work in it something else."""
    space.write(active("1") | {"wait": ["2"], "2": job(), "delayed": {"d": NOW * STEP}, "d": job()})
    space.client.delete(space.keys.base + suffix)
    space.write({suffix: ["a list"] if suffix in ("pc", "meta") else "a string"})
    return space.read(without="events")


@pytest.mark.parametrize("suffix", STEP_KEYS)
async def test_step_is_refused_before_it_changes_anything(space: Keyspace, suffix: str) -> None:
    before = break_key(space, suffix)

    with pytest.raises(WrongKeyType, match=f"{space.keys.base}{suffix} is a"):
        await send(space, end("1"), take=3, sequence=1)

    assert space.read(without="events") == before


@pytest.mark.parametrize("suffix", ADD_KEYS)
async def test_add_is_refused_before_it_changes_anything(space: Keyspace, suffix: str) -> None:
    before = break_key(space, suffix)
    jobs = [encode_job(JobSpec(name="n", options=JobOptions(delay="1s")), prefix=space.keys.prefix)]

    with pytest.raises(WrongKeyType, match=f"{space.keys.base}{suffix} is a"):
        await space.run(add_jobs(space.keys, jobs, clock=space.clock, nonce="n"))

    assert space.read(without="events") == before
