"""The short scenarios of the catalogue of faults, with small sizes; ``make faults`` runs all."""

from __future__ import annotations

import pytest
from tests.faults.catalogue.registry import SCENARIOS
from tests.faults.catalogue.runner import run
from tests.faults.catalogue.scenarios import load

load()
SUITE = (
    "bulk_sweeps",
    "delayed_no_fault",
    "kill_burst",
    "kill_child",
    "kill_supervisor",
    "nasty_raise_exit",
    "stop_supervisor",
)


@pytest.mark.parametrize("name", SUITE)
def test_scenario_keeps_its_promise(name: str) -> None:
    result = run(SCENARIOS[name], is_short=True)

    assert result["ok"], "\n".join(result["problems"])
