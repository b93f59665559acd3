"""The short scenarios of the catalogue of faults, with small sizes; ``make faults`` runs all."""

from __future__ import annotations

import pytest
from tests.faults.catalogue.registry import SCENARIOS
from tests.faults.catalogue.report import PAGE
from tests.faults.catalogue.runner import run
from tests.faults.catalogue.scenarios import load

load()
# Those that no other test proves already, and that take seconds.
SUITE = (
    "bulk_sweeps",
    "cancelled_adds",
    "delayed_no_fault",
    "embedded_killed",
    "evicting_server",
    "fork",
    "keys_deleted_small",
    "kill_burst",
    "kill_child",
    "kill_supervisor",
    "log_closed",
    "nasty_raise_exit",
    "nasty_threads",
    "oom_adds",
    "readonly",
    "redis_comes_late",
    "results_cut",
    "rolling_restart",
    "rude_acl",
    "rude_auth",
    "rude_maxclients",
    "slow_line",
    "stop_supervisor",
)


def test_page_has_a_row_for_every_scenario() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert [] == [name for name in SCENARIOS if f"| `{name}` |" not in page]


@pytest.mark.parametrize("name", SUITE)
def test_scenario_keeps_its_promise(name: str) -> None:
    result = run(SCENARIOS[name], is_short=True)

    assert result["ok"], "\n".join(result["problems"])
