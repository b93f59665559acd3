from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from oxcart import JobContext, Provided
from oxcart._engine.payload import binder_of
from oxcart._engine.provided import needs_of
from oxcart._engine.resources import Registry, Resource, Supply
from oxcart._engine.threads import HandlerThreads
from oxcart.errors import ConfigError, PayloadError

if TYPE_CHECKING:
    from decimal import Decimal


class Client: ...


class Session: ...


async def client() -> AsyncIterator[Client]:
    yield Client()


async def session(client: Client = Provided) -> AsyncIterator[Session]:
    yield Session()


async def client_of_session(session: Session = Provided) -> AsyncIterator[Client]:
    yield Client()


async def client_of_job(job: JobContext = Provided) -> AsyncIterator[Client]:
    yield Client()


def handler(number: int, *, session: Session = Provided) -> None: ...


def planned(*resources: Resource) -> object:
    registry = Registry()
    for resource in resources:
        registry.add(resource)
    return Supply(registry, HandlerThreads(1)).request(needs_of(handler, "handler"), "handler")


def test_handler_that_asks_for_nothing_needs_no_supply() -> None:
    supply = Supply(Registry(), HandlerThreads(1))

    assert supply.request({}, "handler") is None
    assert supply.is_empty


def test_annotation_of_each_asking_parameter_is_what_it_needs() -> None:
    assert needs_of(handler, "handler") == {"session": Session}


def test_parameters_that_ask_are_no_part_of_the_payload() -> None:
    binder = binder_of(handler, "work")

    assert binder.pack((7,), {}) == {"number": 7}
    assert binder.unpack({"number": 7}) == ((), {"number": 7})
    with pytest.raises(PayloadError, match="session"):
        binder.pack((7,), {"session": Session()})
    with pytest.raises(PayloadError, match="session"):
        binder.unpack({"number": 7, "session": None})


def test_parameters_that_ask_in_a_way_that_cannot_work_are_refused() -> None:
    def before(client: Client = Provided, number: int = 1) -> None: ...
    def nameless(client: Client = Provided, /) -> None: ...
    def untyped(client=Provided) -> None: ...  # type: ignore[no-untyped-def]
    def unresolved(number: Decimal) -> None: ...

    for function, said in (
        (before, "'client' asks for a resource but stands before 'number'"),
        (nameless, "'client' needs an annotation and a name"),
        (untyped, "'client' needs an annotation and a name"),
        (unresolved, r"cannot be resolved: .*Decimal.*outside TYPE_CHECKING"),
    ):
        with pytest.raises(ConfigError, match=said):
            needs_of(function, "handler of job 'work'")
    with pytest.raises(ConfigError, match="handler of job 'work' has an annotation"):
        binder_of(unresolved, "work")


def test_function_that_does_not_open_anything_is_no_resource() -> None:
    async def returns() -> Client:
        return Client()

    def untyped():  # type: ignore[no-untyped-def]
        yield Client()

    def takes(url: str) -> Iterator[Client]:
        yield Client()

    for function, said in (
        (returns, "resource 'returns' must yield what it opens"),
        (untyped, "resource 'untyped' does not say what it yields"),
        (takes, "nobody fills its parameter 'url'"),
    ):
        with pytest.raises(ConfigError, match=said):
            Resource.of(function, "worker")
    with pytest.raises(ConfigError, match="scope 'day'"):
        Resource.of(client, "day")  # type: ignore[arg-type]


def test_second_resource_of_a_type_is_refused() -> None:
    async def other() -> AsyncIterator[Client]:
        yield Client()

    async def job() -> AsyncIterator[JobContext]:
        raise NotImplementedError
        yield

    registry = Registry()
    registry.add(Resource.of(client, "worker"))

    with pytest.raises(ConfigError, match="'other' yields Client, as 'client' does already"):
        registry.add(Resource.of(other, "job"))
    with pytest.raises(ConfigError, match="as the worker does already"):
        registry.add(Resource.of(job, "job"))


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ([], r"handler asks for a resource of type Session, .*\(there are: none\)"),
        ([Resource.of(session, "job")], "resource 'session' asks for a resource of type Client"),
        (
            [Resource.of(session, "job"), Resource.of(client_of_session, "job")],
            "asks for itself: session -> client_of_session -> session",
        ),
        (
            [Resource.of(session, "worker"), Resource.of(client, "job")],
            "resource 'session' is open longer than Client, which it asks for",
        ),
        (
            [Resource.of(session, "job"), Resource.of(client_of_job, "worker")],
            "resource 'client_of_job' is open longer than JobContext",
        ),
    ],
    ids=["missing", "missing below", "circle", "outlives a job's", "outlives the job"],
)
def test_plan_that_cannot_work_is_refused(resources: list[Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        planned(*resources)


def test_what_is_not_provided_says_so() -> None:
    assert repr(Provided) == "oxcart.Provided"
    with pytest.raises(AttributeError, match="no 'execute' here: only a worker provides"):
        Provided.execute()
