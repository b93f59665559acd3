"""The machine that plays any sequence of operations, and in the end lets every job finish."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant
from tests.property.lifecycle.driver import Driver, Server
from tests.property.lifecycle.ending import drive_to_the_end
from tests.property.lifecycle.world import ModelJob, ModelQueue, World

from oxcart import JobState

T = TypeVar("T")

QUEUES = ("q", "r")
NAMES = tuple(f"job-{number}" for number in range(5))

a_queue = st.sampled_from(QUEUES)
a_pick = st.integers(0, 10_000)
a_delay = st.sampled_from([0, 0, 0, 1, 500, 60_000])
a_priority = st.sampled_from([0, 0, 0, 1, 7])
an_id = st.none() | st.sampled_from(NAMES)
a_policy = st.sampled_from([None, "fail", "fail", "continue", "ignore", "remove"])


class Machine(RuleBasedStateMachine):
    """Two empty queues; the rules come from the classes that build on this one."""

    server: Server

    @initialize()
    def open(self) -> None:
        self.driver = Driver(self.server, *QUEUES)

    @property
    def world(self) -> World:
        """The model."""
        return self.driver.world

    def queue(self, name: str) -> ModelQueue:
        """A queue of the model."""
        return self.world.queues[name]

    def jobs(self, *states: JobState, queue: str | None = None) -> list[ModelJob]:
        """The jobs in one of the states, in any without one."""
        wanted = states or tuple(JobState)
        return [self.world.jobs[ref] for ref in self.world.refs(*wanted, queue=queue)]

    def job(self, pick: int, *states: JobState) -> ModelJob | None:
        """One of the jobs."""
        jobs = self.jobs(*states)
        return chosen(jobs, pick) if jobs else None

    @invariant()
    def server_and_model_agree(self) -> None:
        if hasattr(self, "driver"):
            self.driver.check()

    def teardown(self) -> None:
        """Let every job come to an end, unless something is wrong already."""
        if hasattr(self, "driver") and sys.exc_info()[0] is None:
            self.driver.check_getters()
            drive_to_the_end(self.driver)
            self.driver.check_getters()


def chosen(items: Sequence[T], pick: int) -> T:
    """One of the items; which one is stable while Hypothesis shrinks."""
    return items[pick % len(items)]
