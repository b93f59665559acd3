from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import NOW, Keyspace
from tests.integration.lua.schedulers import CRON, CRON_DUE, SLOT, move, upsert

from oxcart._store.calls.scheduling import remove_scheduler
from oxcart.errors import WrongKeyType


async def test_delayed_job_goes_with_its_scheduler(space: Keyspace) -> None:
    await upsert(space, CRON, due_ms=CRON_DUE)

    assert await space.run(remove_scheduler(space.keys, "sch"))
    assert not await space.run(remove_scheduler(space.keys, "sch"))

    assert space.read() == {"id": "1", "marker": {"1": CRON_DUE}}
    assert space.events()[-1] == ("removed", f"repeat:sch:{CRON_DUE}", "delayed")


@pytest.mark.parametrize("is_taken", [True, False])
async def test_job_that_is_ready_or_runs_stays(space: Keyspace, is_taken: bool) -> None:
    await upsert(space)
    if is_taken:
        move(space, SLOT)

    assert await space.run(remove_scheduler(space.keys, "sch"))

    table = space.read()
    assert table["active" if is_taken else "wait"] == [SLOT]
    assert not {"repeat", "repeat:sch"} & table.keys()


async def test_definition_without_an_entry_goes(space: Keyspace) -> None:
    space.write({"repeat:sch": {"name": "n"}})

    assert await space.run(remove_scheduler(space.keys, "sch"))
    assert space.read() == {}


async def test_repeatable_job_of_version_5_can_be_removed(space: Keyspace) -> None:
    old = "f533ac4ee9cc0c1487f815c9476e8091"
    space.write({"repeat": {old: float(NOW)}, f"repeat:{old}": {"name": "legacy", "every": "1"}})

    assert await space.run(remove_scheduler(space.keys, old))
    assert space.read() == {}


async def test_wrong_key_is_refused(space: Keyspace) -> None:
    space.write({"delayed": "mine"})

    with pytest.raises(WrongKeyType, match="delayed"):
        await space.run(remove_scheduler(space.keys, "sch"))
