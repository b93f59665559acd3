from __future__ import annotations

import pytest

from oxcart import Backoff, exponential, fixed
from oxcart._model.outcome import Failed, Failure, Retried, decide


def never_random() -> float:
    raise AssertionError("nothing here is random")


def decided(
    *,
    attempts_made: int = 0,
    max_attempts: int = 3,
    backoff: Backoff | None = None,
    is_permanent: bool = False,
    after_ms: int | None = None,
) -> Failed | Retried:
    return decide(
        Failure(reason="why", trace="where", is_permanent=is_permanent, after_ms=after_ms),
        attempts_made=attempts_made,
        max_attempts=max_attempts,
        backoff=backoff,
        random=never_random,
    )


@pytest.mark.parametrize(
    ("attempts_made", "max_attempts", "expected"),
    [
        (0, 1, Failed("why", "where")),
        (0, 2, Retried("why", "where", 0)),
        (1, 2, Failed("why", "where")),
        (1, 3, Retried("why", "where", 0)),
        (2, 3, Failed("why", "where")),
        (7, 3, Failed("why", "where")),  # a job put back after its attempts were used up
    ],
)
def test_job_is_retried_until_its_attempts_are_used_up(
    attempts_made: int, max_attempts: int, expected: Failed | Retried
) -> None:
    assert decided(attempts_made=attempts_made, max_attempts=max_attempts) == expected


def test_permanent_failure_is_not_retried_though_attempts_are_left() -> None:
    assert decided(is_permanent=True, max_attempts=10) == Failed("why", "where")


def test_wait_that_the_handler_asked_for_goes_before_the_backoff() -> None:
    assert decided(backoff=fixed("9s"), after_ms=250) == Retried("why", "where", 250)


def test_wait_of_zero_that_the_handler_asked_for_is_no_wait() -> None:
    assert decided(backoff=fixed("9s"), after_ms=0) == Retried("why", "where", 0)


def test_wait_that_the_handler_asked_for_gives_no_attempt_beyond_the_limit() -> None:
    assert decided(attempts_made=2, max_attempts=3, after_ms=250) == Failed("why", "where")


@pytest.mark.parametrize(
    ("attempts_made", "backoff", "delay_ms"),
    [
        (0, None, 0),
        (0, fixed("2s"), 2_000),
        (4, fixed("2s"), 2_000),
        (0, exponential("2s"), 2_000),
        (1, exponential("2s"), 4_000),
        (4, exponential("2s"), 32_000),
    ],
)
def test_wait_follows_the_backoff(
    attempts_made: int, backoff: Backoff | None, delay_ms: int
) -> None:
    outcome = decided(attempts_made=attempts_made, max_attempts=10, backoff=backoff)

    assert outcome == Retried("why", "where", delay_ms)
