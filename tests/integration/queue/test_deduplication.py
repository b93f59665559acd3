"""Deduplication: one job at a time with the same deduplication id."""

from __future__ import annotations

import pytest
from tests.integration.queue.hand import Hand

from oxcart import Deduplication, JobState, Queue
from oxcart._store.call import Call, command
from oxcart.errors import ConfigError


async def test_second_add_answers_the_first_job(queue: Queue) -> None:
    first = await queue.add("n", {"v": 1}, deduplication="image-7")
    second = await queue.add("n", {"v": 2}, deduplication="image-7")

    assert first.is_new
    assert not second.is_new
    assert first.id == second.id
    assert {"v": 1} == (await second.refresh()).data
    assert first.id == await queue.get_deduplication_job_id("image-7")
    assert 1 == (await queue.get_counts()).waiting


async def test_id_is_free_once_its_job_is_finished(queue: Queue, hand: Hand) -> None:
    for end in (hand.complete, hand.fail):
        first = await queue.add("n", deduplication="d")
        await hand.take()
        assert not (await queue.add("n", deduplication="d")).is_new, "it runs"
        await end(first.id)
        assert await queue.get_deduplication_job_id("d") is None


async def test_id_with_a_time_is_held_beyond_the_jobs_end(queue: Queue, hand: Hand) -> None:
    throttle = Deduplication(id="d", ttl="10m")
    first = await queue.add("n", deduplication=throttle)
    await hand.take()
    await hand.complete(first.id)

    assert not (await queue.add("n", deduplication=throttle)).is_new


async def test_delayed_holder_is_replaced_by_the_newer_job(queue: Queue) -> None:
    debounce = Deduplication(id="d", ttl="10m", extend=True, replace=True)
    old = await queue.add("n", {"v": 1}, deduplication=debounce, delay="5m")
    new = await queue.add("n", {"v": 2}, deduplication=debounce, delay="5m")

    assert new.is_new
    assert await queue.get_job(old.id) is None
    assert new.id == await queue.get_deduplication_job_id("d")
    assert 1 == (await queue.get_counts()).delayed


async def test_delayed_holder_takes_over_the_newer_delay(queue: Queue) -> None:
    moved = Deduplication(id="d", reschedule=True)
    holder = await queue.add("n", deduplication=moved, delay="1h")
    await queue.add("n", deduplication=moved, delay="2h")

    assert 7_200_000 == (await holder.refresh()).delay_ms


async def test_last_add_while_the_holder_runs_is_run_after_it(queue: Queue, hand: Hand) -> None:
    last = Deduplication(id="d", keep_last_if_active=True)
    running = await queue.add("n", {"v": 1}, deduplication=last)
    await hand.take()
    await queue.add("n", {"v": 2}, deduplication=last)
    await queue.add("n", {"v": 3}, deduplication=last)
    assert 0 == (await queue.get_counts()).waiting

    await hand.complete(running.id)

    (kept,) = await queue.get_jobs(JobState.WAITING)
    assert {"v": 3} == kept.data
    assert kept.id == await queue.get_deduplication_job_id("d")


async def test_removing_the_holder_frees_its_id(queue: Queue) -> None:
    first = await queue.add("n", deduplication="d")
    await first.remove()

    assert (await queue.add("n", deduplication="d")).is_new


async def test_id_can_be_freed_by_hand(queue: Queue) -> None:
    first = await queue.add("n", deduplication="d")

    assert not await queue.remove_deduplication_key("d", job_id="somebody-else")
    assert await queue.remove_deduplication_key("d", job_id=first.id)
    assert not await queue.remove_deduplication_key("d")
    assert (await queue.add("n", deduplication="d")).is_new


async def test_id_of_a_vanished_job_is_taken_over(queue: Queue, hand: Hand) -> None:
    """A holder that was deleted by other means must not block its id for ever."""
    first = await queue.add("n", deduplication="d")
    await queue._store.run(_delete(queue, first.id))

    assert (await queue.add("n", deduplication="d")).is_new


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Deduplication(id=""), "deduplication id is empty"),
        (lambda: Deduplication(id="d", ttl="0s"), "deduplication ttl is 0"),
        (lambda: Deduplication(id="d", ttl="soon"), "deduplication ttl is 'soon'"),
    ],
)
def test_wrong_deduplication_is_refused(make: object, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        make()  # type: ignore[operator]


def _delete(queue: Queue, job_id: str) -> Call[int]:
    return command(("DEL", queue._keys.job(job_id)), int)
