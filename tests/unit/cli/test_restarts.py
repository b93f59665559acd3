from __future__ import annotations

from oxcart.cli.restarts import LATER_STARTS, LONGEST_S, STARTS, STEADY_S, Fleet, Restarts

KILLED = -9


def died(restarts: Restarts, *, lived_s: float = 1.0) -> float | None:
    """The wait after the death of a process that ran jobs."""
    return restarts.wait_s(KILLED, has_served=True, lived_s=lived_s)


def failed(restarts: Restarts, code: int, *, others_serve: bool = False) -> float | None:
    """The wait after a start that failed."""
    return restarts.wait_s(code, has_served=False, lived_s=0.3, others_serve=others_serve)


def test_first_death_is_made_good_at_once_and_the_next_after_doubling_waits() -> None:
    restarts = Restarts()

    waits = [died(restarts) for _ in range(9)]

    assert [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_S, LONGEST_S] == waits


def test_process_that_ran_long_is_replaced_at_once_again() -> None:
    restarts = Restarts()
    for _ in range(5):
        died(restarts)

    assert [0.0, 0.5] == [died(restarts, lived_s=STEADY_S), died(restarts)]


def test_first_start_that_fails_by_itself_is_not_tried_again() -> None:
    restarts = Restarts()

    assert None is failed(restarts, 3)
    assert not restarts.has_restarted


def test_start_that_is_killed_is_tried_again_a_few_times() -> None:
    restarts = Restarts()

    assert [0.5, 1.0, 2.0, None] == [failed(restarts, KILLED) for _ in range(STARTS)]
    assert restarts.has_restarted


def test_successor_whose_start_fails_is_tried_for_a_minute_when_it_is_alone() -> None:
    restarts = Restarts()
    died(restarts)

    waits = [failed(restarts, 1) for _ in range(LATER_STARTS)]

    assert [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_S, None] == waits


def test_failing_starts_of_one_place_never_end_the_command_while_another_serves() -> None:
    fleet = Fleet()
    Restarts(1, fleet)
    second = Restarts(2, fleet)

    waits = [failed(second, 3, others_serve=True) for _ in range(3 * LATER_STARTS)]

    assert [0.5, 1.0, 2.0] == waits[:3]
    assert {LONGEST_S} == set(waits[7:])


def test_command_ends_when_starts_fail_in_every_place() -> None:
    fleet = Fleet()
    first, second = Restarts(1, fleet), Restarts(2, fleet)
    died(first)
    for _ in range(2 * LATER_STARTS):
        failed(second, 1)

    waits = [failed(first, 1) for _ in range(LATER_STARTS)]

    assert LONGEST_S == waits[-2]
    assert None is waits[-1]


def test_first_start_that_fails_while_another_place_serves_is_tried_again() -> None:
    fleet = Fleet()
    Restarts(1, fleet)

    assert 0.5 == failed(Restarts(2, fleet), 3, others_serve=True)


def test_start_that_succeeds_makes_earlier_failures_forgotten() -> None:
    restarts = Restarts()
    died(restarts)
    failed(restarts, 1)
    died(restarts)

    assert 0.5 == failed(restarts, 1)
