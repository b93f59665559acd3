from __future__ import annotations

import pytest

from oxcart._engine.reconnect import FIRST_S, LONGEST_S, Reconnect


@pytest.mark.parametrize(("drawn", "share"), [(0.0, 0.5), (0.999_999, 1.0)])
def test_waits_double_up_to_the_longest_and_are_spread_over_their_upper_half(
    drawn: float, share: float
) -> None:
    reconnect = Reconnect(lambda: drawn)

    waits = [reconnect.next_s() for _ in range(30)]

    steps = [min(LONGEST_S, FIRST_S * 2**tries) for tries in range(30)]
    assert waits == pytest.approx([step * share for step in steps], rel=1e-4)


def test_wait_after_an_answer_is_the_shortest_again() -> None:
    reconnect = Reconnect(lambda: 0.0)
    for _ in range(10):
        reconnect.next_s()

    reconnect.reset()

    assert reconnect.is_first
    assert reconnect.next_s() == FIRST_S / 2
    assert not reconnect.is_first


def test_answer_after_failures_says_how_long_ago_the_first_one_was() -> None:
    now = 100.0
    reconnect = Reconnect(lambda: 0.0, lambda: now)

    assert reconnect.reset() is None
    reconnect.next_s()
    now = 102.0
    reconnect.next_s()
    now = 103.5

    assert 3_500 == reconnect.reset()
    assert reconnect.reset() is None
