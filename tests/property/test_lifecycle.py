"""The life of jobs in any order of operations, against a model in plain Python."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.property.lifecycle.driver import Server
from tests.property.lifecycle.rules_adding import DeduplicatedAdds, FamilyAdds, PlainAdds
from tests.property.lifecycle.rules_operating import JobRules, LimitRules, SweepRules
from tests.property.lifecycle.rules_running import RunningRules
from tests.property.lifecycle.rules_scheduling import SchedulingRules

from oxcart._store.location import Location
from oxcart._store.sync_store import SyncStore


class Lifecycle(
    PlainAdds, DeduplicatedAdds, FamilyAdds, RunningRules, JobRules, SweepRules, LimitRules,
    SchedulingRules,
):  # fmt: skip
    """All operations at once."""


# With fewer kinds of operations, a game goes deeper.


class Flows(FamilyAdds, RunningRules):
    """Families that nobody removes."""


class OperatedFlows(FamilyAdds, RunningRules, JobRules, SweepRules):
    """Families whose members are retried, cancelled and removed."""


class Deduplication(DeduplicatedAdds, RunningRules, JobRules):
    """Jobs of which one at a time may be there."""


class Limits(PlainAdds, RunningRules, LimitRules):
    """Queues that are paused and limited."""


@pytest.fixture
def server(valkey_url: str, valkey: redis.Redis) -> Iterator[Server]:
    store = SyncStore(Location.at(valkey_url))
    yield Server(store, valkey)
    store.close()


def play(machine: type, server: Server, *, examples: int, steps: int) -> None:
    """Play many games of many moves."""
    run_state_machine_as_test(
        type(machine.__name__, (machine,), {"server": server}),
        settings=settings(
            max_examples=examples,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes
            print_blob=True,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize(
    ("machine", "examples"),
    [(Lifecycle, 40), (Flows, 25), (OperatedFlows, 45), (Deduplication, 40), (Limits, 25)],
)
def test_jobs_stand_where_the_model_says_after_any_moves(
    server: Server, machine: type, examples: int
) -> None:
    play(machine, server, examples=examples, steps=40)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("machine", [Lifecycle, Flows, OperatedFlows, Deduplication, Limits])
def test_jobs_stand_where_the_model_says_in_long_games(server: Server, machine: type) -> None:
    play(machine, server, examples=800, steps=80)
