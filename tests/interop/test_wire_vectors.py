"""oxcart leaves in the server what Node BullMQ leaves there, step by step and to the digit."""

from __future__ import annotations

import os

import pytest
import redis
from tests.interop.compare import differences
from tests.interop.deliberate import DIFFERENT, HAZARDS, Hazard, is_usable
from tests.interop.features import missing_in
from tests.interop.matching import matches
from tests.interop.session import Session
from tests.interop.snapshot import take_snapshot
from tests.interop.vectors import FOLDER, Vector, load_all

VECTORS = load_all()


def test_the_vectors_are_there() -> None:
    if not VECTORS and not os.environ.get("CI"):
        pytest.skip(f"no wire vectors in {FOLDER}; set OXCART_WIRE_VECTORS to their folder")
    assert VECTORS, f"no wire vectors in {FOLDER}"


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
async def test_vector(vector: Vector, url: str, client: redis.Redis) -> None:
    missing = missing_in(vector)
    assert not missing, f"cannot be replayed: {', '.join(sorted(missing))}"

    async with Session(url, client) as session:
        if vector.is_hazard or vector.name in DIFFERENT:
            found = await _replay_hazard(session, vector)
        else:
            found = await _replay(session, vector)

    assert not found, "\n".join(found)


async def _replay(session: Session, vector: Vector) -> list[str]:
    found = []
    for number, step in enumerate(vector.steps):
        result = await session.play(step)
        if "result" in step and not matches(step["result"], result):
            found.append(f"step {number} {step['op']}: {result}, recorded: {step['result']}")
    return found + differences(vector, take_snapshot(session.client))


async def _replay_hazard(session: Session, vector: Vector) -> list[str]:
    hazard = HAZARDS.get(vector.name, Hazard(is_usable))
    if hazard.is_compared:
        found = await _replay(session, vector)
    else:
        found = []
        for step in vector.steps:
            await session.play(step)
    await hazard.check(session)
    return found
