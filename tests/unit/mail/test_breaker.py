from __future__ import annotations

from datetime import timedelta

import pytest

from oxcart.mail.breaker import CircuitBreaker


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(timedelta(seconds=15), clock)


def test_closed_breaker_lets_everybody_ask(breaker: CircuitBreaker) -> None:
    breaker.succeeded()

    assert [breaker.allows() for _ in range(3)] == [True, True, True]


def test_failure_keeps_callers_away_for_the_time_set(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.failed()
    assert not breaker.allows()

    clock.now += 14.99
    assert not breaker.allows()
    assert breaker.is_open


def test_one_caller_asks_after_that_and_the_others_do_not(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    breaker.failed()
    clock.now += 15

    assert [breaker.allows() for _ in range(3)] == [True, False, False]


def test_probe_that_succeeds_closes(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.failed()
    clock.now += 15
    assert breaker.allows()

    breaker.succeeded()

    assert breaker.allows()
    assert not breaker.is_open


def test_probe_that_fails_opens_again_from_then_on(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.failed()
    clock.now += 15
    assert breaker.allows()
    clock.now += 1
    breaker.failed()

    clock.now += 14.9
    assert not breaker.allows()
    clock.now += 0.1
    assert breaker.allows()


def test_probe_that_never_reports_is_followed_by_another(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    breaker.failed()
    clock.now += 15
    assert breaker.allows()

    clock.now += 15

    assert breaker.allows()
