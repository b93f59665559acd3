"""Jobs that cannot be run: each fails alone, with the reason, and the worker goes on."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest
import redis
from tests.integration.engine.running import is_in, running, until

from oxcart import App, Delay, FailedJob, JobState, Queue, current_job
from oxcart.errors import ConfigError, LockLost, PayloadError, ResultError

_mood: ContextVar[str] = ContextVar("mood", default="")


@pytest.fixture
def good(app: App) -> Any:
    """A job that works, to show that the worker goes on."""

    @app.job(attempts=3)
    async def good(number: int = 1) -> int:
        return number

    return good


async def test_job_with_an_unknown_name_fails_for_good_and_names_the_known_ones(
    app: App, queue: Queue, good: Any
) -> None:
    job = await queue.add("bda", attempts=5)

    async with running(app.worker(unknown_job_timeout="0s")):
        failed = await is_in(queue, job, JobState.FAILED)
        assert 1 == await (await good.enqueue()).result()

    assert "no handler for job name 'bda' in this worker (it has: good)" == failed.failed_reason
    assert 1 == failed.attempts_made


@pytest.mark.parametrize(
    "data",
    [{"number": "one"}, {"nummer": 1}, {"number": None}, [1], "1", 1, None],
    ids=repr,
)
async def test_payload_that_does_not_fit_fails_for_good_before_the_handler_runs(
    app: App, queue: Queue, data: Any
) -> None:
    ran = []

    @app.job
    async def pick(number: int) -> None:
        ran.append(number)

    job = await queue.add("pick", {"number": 1}, attempts=5)
    await queue.update_data(job.id, data)
    async with running(app.worker(unknown_job_timeout="0s")):
        failed = await is_in(queue, job, JobState.FAILED)

    assert [] == ran
    assert 1 == failed.attempts_made
    assert "the payload does not fit the handler of job 'pick'" in str(failed.failed_reason)


@pytest.mark.parametrize("field", ["data", "opts"])
@pytest.mark.parametrize(
    "text",
    [b"{", b"NaN", b"\xff\xfe", b"[" * 100_000, b"'single'"],
    ids=["open", "nan", "not utf-8", "nested", "quotes"],
)
async def test_job_whose_hash_holds_unreadable_json_fails_for_good_and_alone(
    app: App, queue: Queue, good: Any, valkey: redis.Redis, prefix: str, field: str, text: bytes
) -> None:
    job = await queue.add("good", attempts=5)
    valkey.hset(f"{prefix}:default:{job.id}", field, text)
    other = await good.enqueue()

    async with running(app.worker({"default": 2})):
        failed = await is_in(queue, job, JobState.FAILED)
        assert 1 == await other.result()

    assert f"the job's {field}" in str(failed.failed_reason)
    assert text == valkey.hget(f"{prefix}:default:{job.id}", field)
    assert failed.corruption


@pytest.mark.parametrize(
    "text",
    [b"null", b"[]", b"3", b'{"attempts": "many", "backoff": {"type": 3}, "priority": -1}'],
)
async def test_odd_options_of_other_programs_do_not_keep_a_job_from_being_run(
    app: App, queue: Queue, good: Any, valkey: redis.Redis, prefix: str, text: bytes
) -> None:
    job = await queue.add("good")
    valkey.hset(f"{prefix}:default:{job.id}", "opts", text)

    async with running(app.worker()):
        ended = await _ended(queue, job.id)

    is_object = text.startswith(b"{")
    assert (JobState.COMPLETED if is_object else JobState.FAILED) is ended


async def test_id_without_a_hash_is_dropped_and_costs_no_place(
    app: App, queue: Queue, good: Any, valkey: redis.Redis, prefix: str
) -> None:
    valkey.rpush(f"{prefix}:default:wait", "ghost")

    async with running(app.worker({"default": 1})):
        assert 1 == await (await good.enqueue()).result()

    assert JobState.UNKNOWN is await queue.get_state("ghost")
    assert 0 == (await queue.get_counts()).active


async def test_id_whose_key_is_not_a_hash_is_dropped_and_costs_no_place(
    app: App, good: Any, valkey: redis.Redis, prefix: str
) -> None:
    valkey.set(f"{prefix}:default:stray", "a string")
    valkey.rpush(f"{prefix}:default:wait", "stray")

    async with running(app.worker({"default": 1})):
        assert 1 == await (await good.enqueue()).result()

    assert b"a string" == valkey.getdel(f"{prefix}:default:stray")


async def test_job_removed_while_it_runs_is_dropped(
    app: App, queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    @app.job
    async def remove_myself(job_id: str) -> None:
        valkey.delete(f"{prefix}:default:{job_id}", f"{prefix}:default:{job_id}:lock")
        valkey.lrem(f"{prefix}:default:active", 0, job_id)

    job = await remove_myself.options(job_id="mine").enqueue("mine")
    async with running(app.worker()):
        await until(lambda: _is_gone(queue, job.id), what="the job to be gone")
        again = await remove_myself.options(job_id="next").enqueue("next")
        await until(lambda: _is_gone(queue, again.id), what="the next one to be run too")

    assert 0 == (await queue.get_counts()).completed


async def test_failure_marked_for_later_is_carried_out_without_running_the_job(
    app: App, queue: Queue, good: Any, valkey: redis.Redis, prefix: str
) -> None:
    job = await good.enqueue()
    valkey.hset(f"{prefix}:default:{job.id}", "defa", "a child failed")

    async with running(app.worker()):
        failed = await is_in(queue, job, JobState.FAILED)

    assert "a child failed" == failed.failed_reason


@pytest.mark.parametrize("kind", ["attempts", "payload", "raised"])
async def test_hook_hears_of_a_job_that_failed_for_good_once(
    app: App, queue: Queue, kind: str
) -> None:
    heard: list[FailedJob] = []

    async def listen(failed: FailedJob) -> None:
        heard.append(failed)

    @app.job(attempts=2, backoff=None, on_failure=listen)
    async def bad(number: int) -> None:
        raise ValueError("no")

    data: dict[str, Any] = {"attempts": {"number": 1}, "payload": {"x": 1}, "raised": {"number": 2}}
    job = await queue.add("bad", data[kind], attempts=2 if kind == "attempts" else 1)
    async with running(app.worker(unknown_job_timeout="0s")):
        failed = await is_in(queue, job, JobState.FAILED)
        await until(lambda: _is(heard), what="the hook to be called")

    assert [
        FailedJob(
            id=job.id,
            name="bad",
            queue="default",
            data=data[kind],
            reason=str(failed.failed_reason),
            attempts_made=2 if kind == "attempts" else 1,
        )
    ] == heard
    error = heard[0].error
    assert (PayloadError if kind == "payload" else ValueError) is type(error)
    assert str(error) == failed.failed_reason
    assert error.__traceback__ is not None


@pytest.mark.parametrize(
    ("field", "text", "data"),
    [("defa", b"it stalled", {"number": 1}), ("data", b"{", None)],
    ids=["stalled", "unreadable"],
)
async def test_hook_hears_of_a_job_that_failed_without_being_run(
    app: App,
    queue: Queue,
    valkey: redis.Redis,
    prefix: str,
    field: str,
    text: bytes,
    data: Any,
) -> None:
    heard: list[FailedJob] = []

    async def listen(failed: FailedJob) -> None:
        heard.append(failed)

    @app.job(on_failure=listen)
    async def work(number: int) -> None: ...

    job = await work.enqueue(1)
    valkey.hset(f"{prefix}:default:{job.id}", field, text)
    async with running(app.worker()):
        await is_in(queue, job, JobState.FAILED)
        await until(lambda: _is(heard), what="the hook to be called")

    assert [(job.id, data)] == [(failed.id, failed.data) for failed in heard]
    assert (1, None) == (heard[0].attempts_made, heard[0].error)


@pytest.mark.parametrize("how", ["timed out", "cancelled", "result", "no attempt counted"])
async def test_hook_gets_the_error_of_the_last_attempt_however_it_ended(
    app: App, queue: Queue, how: str
) -> None:
    heard: list[FailedJob] = []
    is_running = asyncio.Event()

    async def listen(failed: FailedJob) -> None:
        heard.append(failed)

    @app.job(timeout="10ms" if how == "timed out" else None, on_failure=listen, attempts=1)
    async def work() -> object:
        is_running.set()
        if how == "no attempt counted" and current_job().record.attempts_started == 1:
            raise Delay("1ms")
        if how in ("timed out", "cancelled"):
            await asyncio.Event().wait()
        if how == "result":
            return object()
        raise KeyError("the last")

    job = await work.enqueue()
    async with running(app.worker()):
        await is_running.wait()
        if how == "cancelled":
            await job.cancel("no longer wanted")
        failed = await is_in(queue, job, JobState.FAILED)
        await until(lambda: _is(heard), what="the hook to be called")

    expected: dict[str, type[BaseException]] = {
        "timed out": TimeoutError,
        "cancelled": asyncio.CancelledError,
        "result": ResultError,
        "no attempt counted": KeyError,
    }
    assert expected[how] is type(heard[0].error)
    assert str(heard[0].error) == failed.failed_reason
    assert 1 == heard[0].attempts_made == failed.attempts_made


@pytest.mark.parametrize("kind", ["raised", "refused", "in a thread"])
async def test_hook_may_ask_for_its_job_and_can_no_longer_write_to_it(
    app: App, queue: Queue, kind: str
) -> None:
    seen: list[tuple[str, int, object]] = []
    refused: list[BaseException] = []

    def look() -> None:
        job = current_job()
        seen.append((job.job_id, job.attempt, _mood.get()))
        try:
            job.ensure_lock()
        except LockLost as error:
            refused.append(error)

    async def on_loop(_: FailedJob) -> None:
        look()

    def in_thread(_: FailedJob) -> None:
        look()

    @app.job(attempts=2, backoff=None, on_failure=in_thread if kind == "in a thread" else on_loop)
    async def work(number: int) -> None:
        _mood.set("bound by the handler")
        raise ValueError("no")

    job = await queue.add("work", {"x": 1} if kind == "refused" else {"number": 1}, attempts=2)
    async with running(app.worker(unknown_job_timeout="0s")):
        await is_in(queue, job, JobState.FAILED)
        await until(lambda: _is(refused), what="the hook to be called")

    expected = (job.id, 1, "") if kind == "refused" else (job.id, 2, "bound by the handler")
    assert [expected] == seen
    with pytest.raises(ConfigError, match="outside a handler"):
        current_job()


async def test_hook_that_raises_does_not_stop_the_worker(app: App, queue: Queue, good: Any) -> None:
    async def broken(failed: FailedJob) -> None:
        raise RuntimeError(failed.reason)

    @app.job(attempts=1, on_failure=broken)
    async def bad() -> None:
        raise ValueError("no")

    job = await bad.enqueue()
    async with running(app.worker()):
        await is_in(queue, job, JobState.FAILED)
        assert 1 == await (await good.enqueue()).result()


async def _is(value: object) -> object:
    return value


async def _is_gone(queue: Queue, job_id: str) -> bool:
    return await queue.get_state(job_id) is JobState.UNKNOWN


async def _ended(queue: Queue, job_id: str) -> JobState:
    states = []

    async def has_ended() -> bool:
        states.append(await queue.get_state(job_id))
        return states[-1].is_finished

    await until(has_ended, what=f"job {job_id} to end")
    return states[-1]
