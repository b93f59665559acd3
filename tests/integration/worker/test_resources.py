"""Resources: opened for handlers, handed to them by type, and closed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from typing import Annotated, Any, NewType

import msgspec
import pytest
from tests.integration.engine.running import running

from oxcart import App, JobState, Provided
from oxcart.errors import ConfigError, JobFailed, PayloadError, ResourceError


class Client:
    """A stand-in for what users open: a client, an engine, a pool."""

    def __init__(self, name: str = "client") -> None:
        self.name = name


class Session:
    def __init__(self, client: Client) -> None:
        self.client = client


class Engine(Client): ...


class Order(msgspec.Struct):
    number: int


Url = NewType("Url", str)
ReadOnly = Annotated[Client, "read only"]


async def test_worker_opens_a_resource_once_before_its_jobs_and_closes_it_after_them(
    app: App,
) -> None:
    log: list[str] = []

    @app.resource
    async def client() -> AsyncIterator[Client]:
        log.append("open")
        yield Client()
        log.append("close")

    @app.job
    async def on_loop(number: int, client: Client = Provided) -> str:
        log.append(f"{number} {client.name}")
        return client.name

    @app.job
    def in_thread(number: int, *, client: Client = Provided) -> str:
        log.append(f"{number} {client.name}")
        return client.name

    first, second = await on_loop.enqueue(1), await in_thread.enqueue(2)
    async with running(app.worker()):
        assert ["client", "client"] == [await first.result(), await second.result()]

    assert {"number": 1} == first.data
    assert ("open", "close") == (log[0], log[-1])
    assert ["1 client", "2 client"] == sorted(log[1:-1])


async def test_resources_are_closed_in_reverse_once_the_last_job_has_ended(app: App) -> None:
    log: list[str] = []
    entered = asyncio.Event()

    @app.resource
    async def client(engine: Engine = Provided) -> AsyncIterator[Client]:
        log.append("open client")
        yield Client(f"client on {engine.name}")
        log.append("close client")

    @app.resource
    def engine() -> Iterator[Engine]:
        log.append(f"open engine {threading.current_thread() is threading.main_thread()}")
        yield Engine("engine")
        log.append("close engine")

    @app.job
    async def work(client: Client = Provided) -> str:
        entered.set()
        await asyncio.sleep(0.02)
        log.append("job ended")
        return client.name

    job = await work.enqueue()
    worker = app.worker()
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        await entered.wait()
        worker.stop()

    assert "client on engine" == (await job.refresh()).return_value
    assert [
        "open engine False",
        "open client",
        "job ended",
        "close client",
        "close engine",
    ] == log


async def test_only_what_the_workers_queues_need_is_opened(app: App) -> None:
    opened: list[str] = []

    @app.resource
    async def client() -> AsyncIterator[Client]:
        opened.append("client")
        yield Client()

    @app.resource
    async def engine() -> AsyncIterator[Engine]:
        opened.append("engine")
        yield Engine()

    @app.job(queue="mails")
    async def mail(client: Client = Provided) -> None: ...

    @app.job(queue="rows")
    async def row(engine: Engine = Provided) -> None: ...

    async with running(app.worker({"mails": 1})):
        await (await mail.enqueue()).result()

    assert ["client"] == opened


@pytest.mark.parametrize("in_thread", [False, True])
async def test_resource_that_cannot_be_opened_stops_the_worker_before_it_takes_a_job(
    app: App, in_thread: bool
) -> None:
    log: list[str] = []

    @app.resource
    async def client() -> AsyncIterator[Client]:
        yield Client()
        log.append("client closed")

    async def refuse(client: Client = Provided) -> AsyncIterator[Engine]:
        raise ConnectionError("no route to the database")
        yield Engine()

    def refuse_in_thread(client: Client = Provided) -> Iterator[Engine]:
        raise ConnectionError("no route to the database")
        yield Engine()

    app.resource(refuse_in_thread if in_thread else refuse)

    @app.job
    async def work(engine: Engine = Provided) -> None: ...

    job = await work.enqueue()
    with pytest.raises(ResourceError, match=r"'refuse.*' could not be opened: no route") as failure:
        await app.worker().run()

    assert isinstance(failure.value.__cause__, ConnectionError)
    assert ["client closed"] == log
    assert JobState.WAITING == await job.state()


async def test_worker_may_be_stopped_while_a_resource_is_being_opened(app: App) -> None:
    opening, log = asyncio.Event(), []

    @app.resource
    async def client() -> AsyncIterator[Client]:
        yield Client()
        log.append("client closed")

    @app.resource
    async def engine(client: Client = Provided) -> AsyncIterator[Engine]:
        opening.set()
        await asyncio.Event().wait()
        yield Engine()

    @app.job
    async def work(engine: Engine = Provided) -> None: ...

    job = await work.enqueue()
    worker = app.worker()
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        await opening.wait()
        worker.stop()

    assert ["client closed"] == log
    assert JobState.WAITING == await job.state()


async def test_resource_that_does_not_close_is_logged_and_the_others_are_closed(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    log: list[str] = []

    @app.resource
    async def client() -> AsyncIterator[Client]:
        yield Client()
        log.append("client closed")

    @app.resource
    async def engine(client: Client = Provided) -> AsyncIterator[Engine]:
        yield Engine()
        raise OSError("the engine does not close")

    @app.job
    async def work(engine: Engine = Provided) -> str:
        return "done"

    async with running(app.worker()):
        assert "done" == await (await work.enqueue()).result()

    assert ["client closed"] == log
    assert "worker.resource_not_closed resource=engine" in caplog.text


async def test_context_managers_are_resources_too(app: App) -> None:
    @app.resource
    @asynccontextmanager
    async def client() -> AsyncIterator[Client]:
        yield Client("from an async one")

    @app.resource
    @contextmanager
    def engine() -> Iterator[Engine]:
        yield Engine("from a plain one")

    @app.resource
    def returned() -> AbstractContextManager[Session]:
        return nullcontext(Session(Client("returned")))

    @app.job
    async def work(
        client: Client = Provided, engine: Engine = Provided, session: Session = Provided
    ) -> list[str]:
        return [client.name, engine.name, session.client.name]

    async with running(app.worker()):
        names = await (await work.enqueue()).result()

    assert ["from an async one", "from a plain one", "returned"] == names


async def test_resources_of_one_type_are_told_apart_by_their_annotation(app: App) -> None:
    @app.resource
    async def client() -> AsyncIterator[Client]:
        yield Client("usual")

    @app.resource
    async def replica() -> AsyncIterator[ReadOnly]:
        yield Client("read only")

    @app.resource
    async def url() -> AsyncIterator[Url]:
        yield Url("https://example.org")

    @app.job
    async def work(
        client: Client = Provided, replica: ReadOnly = Provided, url: Url = Provided
    ) -> list[str]:
        return [client.name, replica.name, url]

    async with running(app.worker()):
        assert ["usual", "read only", "https://example.org"] == await (
            await work.enqueue()
        ).result()


async def test_whole_payload_and_resources_go_together(app: App) -> None:
    @app.resource
    async def client() -> AsyncIterator[Client]:
        yield Client()

    @app.job
    async def ship(order: Order, /, client: Client = Provided) -> list[Any]:
        return [order.number, client.name]

    job = await ship.enqueue(Order(7))
    async with running(app.worker()):
        assert [7, "client"] == await job.result()

    assert {"number": 7} == job.data


async def test_resource_is_no_part_of_the_payload(app: App) -> None:
    @app.resource
    async def client() -> AsyncIterator[Client]:
        yield Client()

    @app.job
    async def work(number: int, client: Client = Provided) -> None: ...

    with pytest.raises(PayloadError, match="client"):
        await work.enqueue(1, client=Client())
    with pytest.raises(PayloadError, match="too many positional"):
        await work.enqueue(1, Client())

    async with running(app.worker(unknown_job_timeout="0s")):
        smuggled = await app.queue("default").add("work", {"number": 1, "client": {"name": "x"}})
        with pytest.raises(JobFailed, match="client"):
            await smuggled.result()


async def test_called_directly_a_handler_gets_what_the_caller_gives_it(app: App) -> None:
    @app.job
    async def work(number: int, client: Client = Provided) -> str:
        return client.name * number

    assert "clientclient" == await work(2, client=Client())
    with pytest.raises(AttributeError, match="only a worker provides resources"):
        await work(2)


async def test_missing_resource_is_told_when_the_worker_is_made(app: App) -> None:
    @app.resource
    async def engine() -> AsyncIterator[Engine]:
        yield Engine()

    @app.job
    async def work(client: Client = Provided) -> None: ...

    with pytest.raises(ConfigError, match=r"job 'work' asks .* type Client, .*there are: Engine"):
        app.worker()


async def test_worker_that_is_cancelled_closes_its_resources(app: App) -> None:
    closed: list[str] = []
    entered = asyncio.Event()

    @app.resource
    async def client() -> AsyncIterator[Client]:
        yield Client()
        closed.append("client")

    @app.job
    async def work(client: Client = Provided) -> None:
        entered.set()
        await asyncio.Event().wait()

    job = await work.enqueue()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(app.worker().run())
        await entered.wait()
        task.cancel()

    assert ["client"] == closed
    assert JobState.WAITING == await job.state()
