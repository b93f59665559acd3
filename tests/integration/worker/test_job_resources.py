"""Resources of a job: opened for each attempt, closed after it with its error visible."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from tests.integration.engine.running import is_in, running

from oxcart import App, CallNext, JobContext, JobState, Provided
from oxcart.errors import JobFailed


class Client:
    """A stand-in for what users open: a client, an engine, a pool."""

    def __init__(self, name: str = "client") -> None:
        self.name = name


class Session:
    def __init__(self, client: Client) -> None:
        self.client = client


@pytest.mark.parametrize("in_thread", [False, True])
async def test_resource_of_a_job_is_opened_for_each_attempt_and_sees_its_error(
    app: App, in_thread: bool
) -> None:
    log: list[str] = []

    async def session(job: JobContext = Provided) -> AsyncIterator[Session]:
        try:
            yield Session(Client(f"attempt {job.attempt}"))
        except ValueError as error:
            log.append(f"rolled back: {error}")
            raise
        else:
            log.append("committed")

    def session_in_thread(job: JobContext = Provided) -> Iterator[Session]:
        try:
            yield Session(Client(f"attempt {job.attempt}"))
        except ValueError as error:
            log.append(f"rolled back: {error}")
            raise
        else:
            log.append("committed")

    app.resource(scope="job")(session_in_thread if in_thread else session)

    @app.job(attempts=2, backoff=None)
    def work(session: Session = Provided) -> str:
        if session.client.name == "attempt 1":
            raise ValueError("not yet")
        return session.client.name

    async with running(app.worker()):
        assert "attempt 2" == await (await work.enqueue()).result()

    assert ["rolled back: not yet", "committed"] == log


async def test_each_job_has_its_own_session_on_the_workers_one_client(app: App) -> None:
    barrier = asyncio.Barrier(2)

    @app.resource
    async def client() -> AsyncIterator[Client]:
        yield Client()

    @app.resource(scope="job")
    async def session(client: Client = Provided) -> AsyncIterator[Session]:
        yield Session(client)

    @app.job
    async def work(session: Session = Provided, client: Client = Provided) -> list[Any]:
        await barrier.wait()  # both run at once
        return [id(session), id(client), session.client is client]

    async with running(app.worker()):
        jobs = [await work.enqueue(), await work.enqueue()]
        first, second = [await job.result() for job in jobs]

    assert first[0] != second[0]
    assert first[1:] == second[1:] == [first[1], True]


async def test_commit_that_fails_fails_the_attempt(app: App) -> None:
    @app.resource(scope="job")
    async def session() -> AsyncIterator[Session]:
        yield Session(Client())
        raise ConnectionError("the commit failed")

    @app.job(attempts=1)
    async def work(session: Session = Provided) -> str:
        return "done"

    async with running(app.worker()):
        with pytest.raises(JobFailed, match="the commit failed"):
            await (await work.enqueue()).result()


async def test_resource_cannot_make_a_success_of_a_failed_attempt(app: App) -> None:
    @app.resource(scope="job")
    async def session() -> AsyncIterator[Session]:
        try:
            yield Session(Client())
        except ValueError:
            return

    @app.job(attempts=1)
    async def work(session: Session = Provided) -> None:
        raise ValueError("the handler failed")

    async with running(app.worker()):
        with pytest.raises(JobFailed, match="the handler failed"):
            await (await work.enqueue()).result()


@pytest.mark.parametrize("in_thread", [False, True])
async def test_resource_of_a_job_is_closed_when_the_job_is_timed_out(
    app: App, in_thread: bool
) -> None:
    closed: list[str] = []

    async def session() -> AsyncIterator[Session]:
        try:
            yield Session(Client())
        finally:
            closed.append("session")

    def session_in_thread() -> Iterator[Session]:
        try:
            yield Session(Client())
        finally:
            closed.append("session")

    app.resource(scope="job")(session_in_thread if in_thread else session)

    @app.job(attempts=1, timeout="50ms")
    async def hang(session: Session = Provided) -> None:
        await asyncio.Event().wait()

    async with running(app.worker()):
        with pytest.raises(JobFailed, match="timed out after 50 ms"):
            await (await hang.enqueue()).result()

    assert ["session"] == closed


async def test_resource_opened_while_its_job_is_being_timed_out_is_closed(app: App) -> None:
    loop = asyncio.get_running_loop()
    loop_is_blocked, closed = threading.Event(), threading.Event()
    ran: list[str] = []

    def block() -> None:
        loop_is_blocked.set()
        time.sleep(0.6)  # until after the deadline

    @app.resource(scope="job")
    def session() -> Iterator[Session]:
        loop.call_soon_threadsafe(block)
        loop_is_blocked.wait(10)
        try:
            yield Session(Client())
        finally:
            closed.set()

    @app.job(attempts=1, timeout="300ms")
    async def work(session: Session = Provided) -> None:
        ran.append("handler")

    async with running(app.worker()):
        with pytest.raises(JobFailed, match="timed out after 300 ms"):
            await (await work.enqueue()).result()

    assert closed.is_set()
    assert [] == ran


async def test_misfit_payload_opens_nothing(app: App) -> None:
    opened: list[str] = []

    @app.resource(scope="job")
    async def session() -> AsyncIterator[Session]:
        opened.append("session")
        yield Session(Client())

    @app.job
    async def work(number: int, session: Session = Provided) -> None: ...

    async with running(app.worker(unknown_job_timeout="0s")):
        job = await app.queue("default").add("work", {"number": "seven"})
        await is_in(app.queue("default"), job, JobState.FAILED)

    assert [] == opened


async def test_middlewares_are_around_the_resources_of_a_job(app: App) -> None:
    log: list[str] = []

    @app.middleware
    async def note(job: JobContext, call_next: CallNext) -> object:
        log.append("in")
        try:
            return await call_next(job)
        finally:
            log.append("out")

    @app.resource(scope="job")
    async def session() -> AsyncIterator[Session]:
        log.append("open")
        yield Session(Client())
        log.append("close")

    @app.job
    async def work(session: Session = Provided) -> None:
        log.append("handler")

    async with running(app.worker()):
        await (await work.enqueue()).result()

    assert ["in", "open", "handler", "close", "out"] == log
