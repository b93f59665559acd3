"""The wait between two attempts: never negative, never endless, never more than is asked for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oxcart import Backoff
from oxcart._model.backoff import MAX_DELAY_MS, delay_ms
from oxcart._model.outcome import Failed, Failure, Retried, decide

kinds = st.sampled_from(["fixed", "exponential"])
delays = st.integers(0, 2**53)
made = st.integers(1, 10**6)
few = st.integers(1, 100)
drawn = st.floats(0, 1, exclude_max=True)


@given(st.builds(Backoff, kind=kinds, delay_ms=delays, jitter=st.floats(0, 1)), made, drawn)
def test_wait_is_bounded(backoff: Backoff, attempts_made: int, number: float) -> None:
    wait = delay_ms(backoff, attempts_made, lambda: number)

    assert isinstance(wait, int)
    assert 0 <= wait <= MAX_DELAY_MS


@given(kinds, delays, st.floats(0, 1), made, drawn)
def test_jitter_only_shortens_and_by_no_more_than_its_share(
    kind: str, delay: int, jitter: float, attempts_made: int, number: float
) -> None:
    whole = delay_ms(_backoff(kind, delay, 0.0), attempts_made, lambda: number)
    wait = delay_ms(_backoff(kind, delay, jitter), attempts_made, lambda: number)

    # One millisecond for the rounding down, and what a float of this size cannot tell apart.
    slack = 1 + whole * 1e-12
    assert whole * (1 - jitter) - slack <= wait <= whole + slack


@given(delays, st.integers(1, 10**3))
def test_exponential_wait_never_gets_shorter(delay: int, attempts_made: int) -> None:
    backoff = _backoff("exponential", delay, 0.0)
    waits = [delay_ms(backoff, attempts_made + more, lambda: 0.5) for more in (0, 1)]

    assert waits[0] <= waits[1] <= 2 * waits[0]


@given(delays.filter(lambda delay: delay <= MAX_DELAY_MS), made, drawn)
def test_fixed_wait_is_what_was_asked_for(delay: int, attempts_made: int, number: float) -> None:
    assert delay_ms(_backoff("fixed", delay, 0.0), attempts_made, lambda: number) == delay


@given(st.booleans(), few, few, st.none() | st.integers(0, 10**6), drawn)
def test_attempts_come_to_an_end(
    is_permanent: bool, attempts_made: int, max_attempts: int, after_ms: int | None, number: float
) -> None:
    failure = Failure(reason="r", trace="t", is_permanent=is_permanent, after_ms=after_ms)

    outcome = decide(
        failure,
        attempts_made=attempts_made,
        max_attempts=max_attempts,
        backoff=_backoff("exponential", 10, 0.5),
        random=lambda: number,
    )

    may_retry = not is_permanent and attempts_made + 1 < max_attempts
    assert isinstance(outcome, Retried if may_retry else Failed)
    assert (outcome.reason, outcome.trace) == ("r", "t")
    if isinstance(outcome, Retried) and after_ms is not None:
        assert outcome.delay_ms == after_ms


def _backoff(kind: str, delay: int, jitter: float) -> Backoff:
    return Backoff(kind=kind, delay_ms=delay, jitter=jitter)
