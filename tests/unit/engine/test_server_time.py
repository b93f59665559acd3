from __future__ import annotations

import pytest

from oxcart._engine.server_time import ServerTime


class Monotonic:
    """This process' clock, moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.s = 100.0
        monkeypatch.setattr("oxcart._engine.server_time.time.monotonic", lambda: self.s)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Monotonic:
    return Monotonic(monkeypatch)


def test_time_passes_between_replies(clock: Monotonic) -> None:
    server = ServerTime()
    server.note(5_000)
    clock.s += 0.25

    assert server.ms_until(6_000) == pytest.approx(750)
    assert server.ms_until(5_000) == pytest.approx(-250)


def test_the_reply_that_was_under_way_for_the_least_counts(clock: Monotonic) -> None:
    server = ServerTime()
    server.note(5_000)
    clock.s += 0.010
    server.note(5_015)  # the first was 5 ms late
    clock.s += 0.010
    server.note(5_020)

    assert server.ms_until(5_025) == pytest.approx(0, abs=1e-6)


def test_an_estimate_is_forgotten(clock: Monotonic) -> None:
    server = ServerTime()
    server.note(5_000)
    clock.s += 61
    server.note(4_000)  # the server's clock was set back

    assert server.ms_until(4_010) == pytest.approx(10)
