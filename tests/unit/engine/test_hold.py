from __future__ import annotations

import time

import pytest

from oxcart._engine.hold import Hold
from oxcart.errors import LockLost


def hold_for(seconds: float, *, is_lost: bool = False) -> Hold:
    return Hold("q", "7", "token", time.monotonic() + seconds, lambda _: None, is_lost=is_lost)


def test_hold_is_valid_until_it_expires() -> None:
    hold = hold_for(60)

    hold.ensure()
    assert hold.is_valid


@pytest.mark.parametrize("hold", [hold_for(-0.001), hold_for(60, is_lost=True)])
def test_expired_or_lost_hold_is_refused_with_the_job_named(hold: Hold) -> None:
    assert not hold.is_valid
    with pytest.raises(LockLost, match="job '7' of queue 'q'") as caught:
        hold.ensure()
    assert (caught.value.job_id, caught.value.queue) == ("7", "q")


def test_hold_that_somebody_else_keeps_is_valid_until_that_ends() -> None:
    kept_until = time.monotonic() + 60
    hold = Hold(
        "q", "7", "token", time.monotonic() - 1, lambda _: None, kept_until=lambda _: kept_until
    )

    assert hold.is_valid
    kept_until = time.monotonic() - 0.5
    assert not hold.is_valid


def test_hold_that_is_lost_is_kept_by_nobody() -> None:
    hold = hold_for(60, is_lost=True)
    hold.kept_until = lambda _: time.monotonic() + 60

    assert not hold.is_valid
