from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxcart import Backoff, exponential, fixed
from oxcart._model.backoff import MAX_DELAY_MS, delay_ms
from oxcart.errors import ConfigError

backoffs = st.builds(
    Backoff,
    kind=st.sampled_from(["fixed", "exponential"]),
    delay_ms=st.integers(0, 10**9),
    jitter=st.floats(0, 1),
)


@pytest.mark.parametrize("attempts_made", [1, 2, 10])
def test_fixed_backoff_waits_the_same_after_each_attempt(attempts_made: int) -> None:
    assert delay_ms(fixed("5s"), attempts_made, lambda: 0.5) == 5_000


def test_exponential_backoff_doubles_with_each_attempt() -> None:
    waits = [delay_ms(exponential("1s"), made, lambda: 0.5) for made in (1, 2, 3, 4)]

    assert waits == [1_000, 2_000, 4_000, 8_000]


def test_without_backoff_there_is_no_wait() -> None:
    assert delay_ms(None, 3, lambda: 0.5) == 0


@pytest.mark.parametrize(("drawn", "expected"), [(0.0, 6_000), (0.5, 8_000), (0.999_999, 9_999)])
def test_jitter_takes_up_to_its_share_off_the_wait(drawn: float, expected: int) -> None:
    assert delay_ms(fixed("10s", jitter=0.4), 1, lambda: drawn) == expected


def test_full_jitter_reaches_down_to_no_wait() -> None:
    assert delay_ms(exponential("10s", jitter=1.0), 1, lambda: 0.0) == 0


@given(backoff=backoffs, made=st.integers(1, 2**31), drawn=st.floats(0, 1, exclude_max=True))
def test_wait_is_a_whole_number_within_its_bounds(
    backoff: Backoff, made: int, drawn: float
) -> None:
    full = delay_ms(Backoff(kind=backoff.kind, delay_ms=backoff.delay_ms), made, lambda: drawn)

    wait = delay_ms(backoff, made, lambda: drawn)

    assert isinstance(wait, int)
    assert int(full * (1 - backoff.jitter)) - 1 <= wait <= full <= MAX_DELAY_MS


@pytest.mark.parametrize("jitter", [-0.1, 1.1])
def test_jitter_outside_its_range_is_refused_by_name(jitter: float) -> None:
    with pytest.raises(ConfigError, match="jitter"):
        fixed("1s", jitter=jitter)


def test_negative_delay_is_refused() -> None:
    with pytest.raises(ConfigError, match="negative"):
        Backoff(kind="fixed", delay_ms=-1)
