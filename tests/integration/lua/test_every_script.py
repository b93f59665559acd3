"""Every script has its module of tests here, and each runs on a server that does not know it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from tests.integration.lua.keyspace import Keyspace, job

from oxcart._store.calls.reading import get_states
from oxcart._wire import scripts

SCRIPTS = sorted(
    path.name.removesuffix(".lua")
    for path in (files("oxcart._wire") / "lua").iterdir()
    if path.name.endswith(".lua")
)


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_has_tests(script: str) -> None:
    assert Path(__file__).with_name(f"test_{script}.py").exists()


@pytest.mark.parametrize("script", SCRIPTS)
async def test_server_can_compile_the_script(space: Keyspace, script: str) -> None:
    loaded = scripts.load(script)

    assert space.client.script_load(loaded.text) == loaded.sha


async def test_script_that_the_server_has_forgotten_is_sent_again(space: Keyspace) -> None:
    space.write({"1": job(), "wait": ["1"]})
    call = get_states(space.keys, ["1"])
    before = await space.run(call)
    space.client.script_flush()

    assert await space.run(call) == before
