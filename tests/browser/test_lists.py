"""What Bull Board shows of a queue that oxcart alone has written."""

from __future__ import annotations

from typing import Any

import pytest
from tests.browser.board import Board, BoardRefused
from tests.browser.depot import REASON, WORKER, Depot
from tests.integration.engine.running import is_in, running, until

from oxcart import JobSpec, JobState, Queue, Retention, exponential

STATES = (
    JobState.WAITING, JobState.ACTIVE, JobState.DELAYED, JobState.PRIORITIZED,
    JobState.WAITING_CHILDREN, JobState.COMPLETED, JobState.FAILED,
)  # fmt: skip
"""The states that have a tab."""

PAYLOADS: dict[str, Any] = {
    "nothing": None,
    "text": "straße, 東京, 🐂",
    "number": 9_007_199_254_740_991,
    "fraction": -0.125,
    "truth": True,
    "list": [1, "two", None, [], {}],
    "empty object": {},
    "nested": {"a": {"b": {"c": ["</script>", "\"quoted\"", "line\nbreak", "\u2028"]}}},
    "odd keys": {"": 1, "__proto__": 2, "a.b": 3},
}  # fmt: skip


async def counts_of(queue: Queue) -> dict[str, int]:
    """The counts of oxcart under the names of Bull Board."""
    counts = await queue.get_counts()
    return {state.value: getattr(counts, state.name.lower()) for state in STATES}


async def test_jobs_of_every_state_are_on_their_tab_and_counted(
    board: Board, depot: Depot, queue: Queue
) -> None:
    async with depot.with_parcels() as parcels:
        for state, job in parcels.by_state().items():
            shown = await board.shown(state.value)

            assert [job.id] == [each["id"] for each in shown["jobs"]], state
            assert 1 == shown["counts"][state.value], state
        shown = await board.shown()
        assert await counts_of(queue) == shown["counts"]
        assert [] == await board.listed(JobState.WAITING_CHILDREN)
        assert {job.id for job in parcels.by_state().values()} == {
            each["id"] for each in shown["jobs"]
        }


async def test_every_job_has_its_own_page_which_knows_its_state(board: Board, depot: Depot) -> None:
    async with depot.with_parcels() as parcels:
        for state, job in parcels.by_state().items():
            shown = await board.job(job.id)

            assert state.value == shown["status"]
            assert (job.name, job.data) == (shown["name"], shown["data"])
            assert job.created_at_ms == shown["timestamp"]


async def test_failed_job_is_shown_with_reason_stacktrace_of_each_attempt_and_logs(
    board: Board, depot: Depot
) -> None:
    async with depot.with_parcels() as parcels:
        job = await parcels.failed.refresh()
        shown = await board.job(job.id)

        assert shown["isFailed"]
        assert REASON == shown["failedReason"]
        assert 2 == shown["attempts"]
        assert list(job.stacktrace) == shown["stacktrace"]
        assert 2 == len(shown["stacktrace"])
        for trace in shown["stacktrace"]:
            assert trace.startswith("Traceback")
            assert f"LookupError: {REASON}" in trace
        assert 2 == shown["opts"]["attempts"]
        assert {"type": "exponential", "delay": 1} == shown["opts"]["backoff"]
        assert ["attempt 1 begins", "attempt 2 begins"] == await board.get(f"{job.id}/logs")


async def test_completed_job_is_shown_with_result_progress_and_times(
    board: Board, depot: Depot
) -> None:
    async with depot.with_parcels() as parcels:
        job = await parcels.completed.refresh()
        shown = await board.job(job.id)

        assert not shown["isFailed"]
        assert {"delivered": {"to": "Ada", "grams": 250}} == shown["returnValue"]
        assert {"at": "door", "percent": 80} == shown["progress"]
        assert 1 == shown["attempts"]
        assert WORKER == shown["processedBy"]
        assert (job.created_at_ms, job.processed_at_ms, job.finished_at_ms) == (
            shown["timestamp"],
            shown["processedOn"],
            shown["finishedOn"],
        )


async def test_active_job_is_shown_with_its_worker_and_the_attempt_that_runs(
    board: Board, depot: Depot, queue: Queue
) -> None:
    async with depot.with_parcels() as parcels:
        await queue.update_progress(parcels.active.id, 40)
        shown = await board.job(parcels.active.id)

        assert WORKER == shown["processedBy"]
        assert 40 == shown["progress"]
        assert (0, 1) == (shown["attempts"], shown["attemptsStarted"])
        assert shown["processedOn"] >= shown["timestamp"]
        assert "finishedOn" not in shown


async def test_delay_and_priority_are_shown(board: Board, depot: Depot) -> None:
    async with depot.with_parcels() as parcels:
        delayed = await board.job(parcels.delayed.id)
        prioritized = await board.job(parcels.prioritized.id)

        assert 86_400_000 == delayed["delay"] == delayed["opts"]["delay"]
        assert 7 == prioritized["priority"] == prioritized["opts"]["priority"]


async def test_deduplication_id_is_shown(board: Board, queue: Queue) -> None:
    job = await queue.add("deliver", deduplication="ada's parcel")

    assert "ada's parcel" == (await board.job(job.id))["deduplicationId"]


async def test_options_are_shown_under_the_names_of_bullmq(board: Board, queue: Queue) -> None:
    job = await queue.add(
        "deliver",
        attempts=5,
        backoff=exponential("2s", jitter=0.5),
        keep_completed=Retention(count=10, age="1h"),
        keep_failed=Retention.NONE,
        lifo=True,
        stacktrace_limit=3,
    )

    shown = await board.job(job.id)

    assert {
        "attempts": 5,
        "backoff": {"type": "exponential", "delay": 2_000, "jitter": 0.5},
        "removeOnComplete": {"count": 10, "age": 3_600},
        "removeOnFail": True,
        "lifo": True,
        "stackTraceLimit": 3,
    } == {name: value for name, value in shown["opts"].items() if value != 0}


@pytest.mark.parametrize("kind", PAYLOADS)
async def test_payloads_results_and_progress_arrive_unchanged(
    board: Board, depot: Depot, queue: Queue, kind: str
) -> None:
    async with depot.open():
        job = (await queue.add_many([JobSpec(name="deliver", data=PAYLOADS[kind])]))[0]
        await is_in(queue, job, JobState.COMPLETED)

    shown = await board.job(job.id)

    assert PAYLOADS[kind] == shown["data"]
    assert {"delivered": PAYLOADS[kind]} == shown["returnValue"]


@pytest.mark.parametrize("job_id", ["order 7/8", "ñandú?&#%25", "-", "a" * 200])
async def test_ids_of_any_kind_lead_to_their_job(board: Board, queue: Queue, job_id: str) -> None:
    await queue.add("deliver", {"to": "Ada"}, job_id=job_id)

    assert job_id == (await board.job(job_id))["id"]
    assert [job_id] == [each["id"] for each in await board.listed("waiting")]


@pytest.mark.parametrize("state", [JobState.WAITING, JobState.DELAYED, JobState.FAILED])
async def test_pages_show_each_job_once_in_the_order_of_oxcart(
    board: Board, depot: Depot, queue: Queue, state: JobState
) -> None:
    delay = "1h" if state is JobState.DELAYED else None
    name = "lose" if state is JobState.FAILED else "deliver"
    for number in range(23):
        await queue.add(name, {"number": number}, delay=delay)
    if state is JobState.FAILED:
        async with depot.open(concurrency=8):
            await is_failed(queue, 23)

    pages = [await board.listed(state.value, page=page) for page in (1, 2, 3)]

    assert [10, 10, 3] == [len(page) for page in pages]
    ours = await queue.get_jobs(state, end=-1)
    assert [job.id for job in ours] == [each["id"] for page in pages for each in page]


async def is_failed(queue: Queue, count: int) -> None:
    """Wait until so many jobs have failed."""

    async def are_there() -> bool:
        return (await queue.get_counts()).failed == count

    await until(are_there, what=f"{count} jobs to fail")


async def test_pausing_is_shown(board: Board, queue: Queue) -> None:
    await queue.add("deliver")
    assert not (await board.shown())["isPaused"]

    await queue.pause()

    shown = await board.shown("waiting")
    assert shown["isPaused"]
    assert 1 == len(shown["jobs"]) == shown["counts"]["waiting"]


async def test_queue_without_jobs_is_shown_empty(board: Board, queue: Queue) -> None:
    await queue.open()

    shown = await board.shown()

    assert [] == shown["jobs"]
    assert {0} == set(shown["counts"].values())


async def test_removed_job_is_not_found(board: Board, queue: Queue) -> None:
    job = await queue.add("deliver")
    await queue.remove(job.id)

    with pytest.raises(BoardRefused) as refused:
        await board.job(job.id)

    assert 404 == refused.value.status


async def test_workers_are_shown_by_their_names_while_they_run(
    board: Board, depot: Depot, queue: Queue
) -> None:
    async with running(depot.worker(name="cart-1"), depot.worker(name="cart 2 — Zürich")):
        await are_shown(board, ["cart-1", "cart-2---Z-rich"])
        assert (await board.shown())["hasWorkers"]
        shown = (await board.get("workers"))["workers"]
        assert {(worker["name"], worker["addr"]) for worker in shown} == {
            (worker.name, worker.address) for worker in await queue.get_workers()
        }

    await are_shown(board, [])
    assert not (await board.shown())["hasWorkers"]


async def test_worker_of_another_queue_is_not_shown(
    board: Board, depot: Depot, valkey_url: str, prefix: str
) -> None:
    other = Depot(valkey_url, prefix, Queue("letters", redis_url=valkey_url, prefix=prefix))

    async with running(other.worker(name="stranger"), depot.worker(name="cart-1")):
        await are_shown(board, ["cart-1"])


async def are_shown(board: Board, names: list[str]) -> None:
    """Wait until Bull Board shows these workers."""

    async def is_so() -> bool:
        workers = (await board.get("workers"))["workers"]
        return sorted(worker["name"] for worker in workers) == sorted(names)

    await until(is_so, what=f"the workers to be {names}")
