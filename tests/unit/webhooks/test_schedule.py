from __future__ import annotations

from datetime import timedelta

import pytest

from oxcart.errors import ConfigError
from oxcart.webhooks.schedule import DEFAULT_WAITS, RetrySchedule


def test_waits_grow_to_ten_attempts_in_three_days() -> None:
    schedule = RetrySchedule.parse()

    assert len(DEFAULT_WAITS) + 1 == schedule.attempt_count == 10
    assert schedule.wait_after(1, random=lambda: 0.0) == timedelta(seconds=5)
    assert schedule.wait_after(1, random=lambda: 1.0) == timedelta(seconds=5.5)
    assert schedule.wait_after(9, random=lambda: 0.0) == timedelta(hours=24)
    assert schedule.wait_after(10) is None
    total = sum(schedule.waits, timedelta())
    assert timedelta(days=3) < total < timedelta(days=3.5)


def test_receiver_can_lengthen_a_wait_and_not_shorten_it() -> None:
    schedule = RetrySchedule.parse(["1m"])

    longer = schedule.wait_after(1, retry_after_seconds=300, random=lambda: 0.0)
    shorter = schedule.wait_after(1, retry_after_seconds=1, random=lambda: 0.0)
    assert (longer, shorter) == (timedelta(minutes=5), timedelta(minutes=1))
    assert schedule.wait_after(2, retry_after_seconds=300) is None


@pytest.mark.parametrize("waits", [["soon"], ["1s"] * 31])
def test_schedule_that_is_not_one_is_refused(waits: list[str]) -> None:
    with pytest.raises(ConfigError):
        RetrySchedule.parse(waits)
