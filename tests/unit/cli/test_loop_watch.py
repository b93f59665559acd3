from __future__ import annotations

import pytest

from oxcart._engine.loop_monitor import BlockedLoop
from oxcart.cli.loop_watch import LOOK_S, LoopWatch


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def looks(watch: LoopWatch, clock: Clock, count: int, *, turns: bool, runs: bool = True) -> None:
    for _ in range(count):
        clock.now += LOOK_S
        watch.look(clock.now if turns else 7.0, clock.now if runs else 7.0)


def test_loop_that_does_not_turn_is_blocked_and_one_that_turns_again_is_not() -> None:
    clock = Clock()
    watch = LoopWatch(90.0, clock)

    looks(watch, clock, 11, turns=False)
    blocked_s = watch.blocked_s
    looks(watch, clock, 1, turns=True)

    assert 10 * LOOK_S == blocked_s
    assert 0.0 == watch.blocked_s


def test_process_that_does_not_run_is_not_blocked() -> None:
    clock = Clock()
    watch = LoopWatch(90.0, clock)

    looks(watch, clock, 100, turns=False, runs=False)

    assert 0.0 == watch.blocked_s


def test_loop_that_is_not_monitored_is_not_blocked() -> None:
    clock = Clock()
    watch = LoopWatch(90.0, clock)

    for _ in range(100):
        clock.now += LOOK_S
        watch.look(0.0, clock.now)

    assert 0.0 == watch.blocked_s


def test_time_without_looks_is_not_counted() -> None:
    clock = Clock()
    watch = LoopWatch(90.0, clock)
    looks(watch, clock, 1, turns=False)

    clock.now += 3_600
    watch.look(7.0, clock.now)

    assert 2 * LOOK_S >= watch.blocked_s


@pytest.mark.parametrize(
    ("timeout_s", "kills_after_s"), [(None, 90), (1.0, 11), (30.0, 60), (60.0, 90), (3_600.0, 90)]
)
def test_time_out_of_the_blocking_job_shortens_the_limit(
    timeout_s: float | None, kills_after_s: float
) -> None:
    blocked = BlockedLoop(blocked_s=5.0, stack="", timeout_s=timeout_s)

    assert kills_after_s == LoopWatch(90.0).kills_after_s(blocked)
    assert 90.0 == LoopWatch(90.0).kills_after_s(None)
