from __future__ import annotations

import pytest

from oxcart._engine.claim import Claim
from oxcart.cli.line import beat_interval_s
from oxcart.cli.silence import Silence

LOCK_MS = 30_000


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def claim(lock_ms: int = LOCK_MS) -> Claim:
    return Claim(
        url="redis://:secret@h", prefix="bull", queues=("q",), holder="h", lock_ms=lock_ms,
        max_stalled=1,
    )  # fmt: skip


def looks(silence: Silence, watch: Watch, count: int, *, beats: bool) -> None:
    for _ in range(count):
        watch.now += silence.interval_s
        silence.look(watch.now if beats else 1.0)


def test_process_that_shows_nothing_is_silent_before_half_of_its_locks_time_is_over() -> None:
    watch = Watch()
    silence = Silence(claim(), watch)
    looks(silence, watch, 5, beats=True)
    silence.look(1.0)
    begun = watch.now

    while not silence.is_long:
        looks(silence, watch, 1, beats=False)

    assert (watch.now - begun) * 1_000 <= LOCK_MS / 3


def test_process_that_goes_on_is_silent_no_more() -> None:
    watch = Watch()
    silence = Silence(claim(), watch)
    looks(silence, watch, 9, beats=False)

    looks(silence, watch, 1, beats=True)

    assert not silence.is_long
    assert 0.0 == silence.seconds


def test_time_in_which_nobody_looked_proves_nothing() -> None:
    """The machine was suspended: its clock went on, and no process did."""
    watch = Watch()
    silence = Silence(claim(), watch)
    looks(silence, watch, 2, beats=True)
    silence.look(7.0)

    watch.now += 3_600
    silence.look(7.0)

    assert silence.seconds <= 2 * silence.interval_s


@pytest.mark.parametrize("lock_ms", [100, 1_000, 30_000, 600_000])
def test_process_beats_at_least_as_often_as_it_is_looked_at(lock_ms: int) -> None:
    assert beat_interval_s(claim(lock_ms)) <= Silence(claim(lock_ms)).interval_s


def test_password_of_the_server_is_not_shown() -> None:
    assert "secret" not in repr(claim())
