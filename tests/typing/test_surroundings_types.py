"""What type checkers know about middlewares, hooks, resources and rules; strict mypy checks it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, assert_type

from oxcart import (
    App,
    CallNext,
    FailedJob,
    Job,
    JobContext,
    JobSpec,
    Provided,
    RateLimit,
    Schedule,
    Worker,
    exponential,
)

URL = "redis://127.0.0.1:1/0"


class Client:
    def get(self, url: str) -> int:
        return len(url)


class HttpError(Exception):
    status = 503


def by_status(attempt: int, error: HttpError) -> bool:
    return error.status != 404


app = App(URL, prefix="typing", backoff_strategies={"custom": lambda attempt, error: "2s"})


@app.middleware
async def timed(job: JobContext, call_next: CallNext) -> object:
    return await call_next(job)


@app.before
async def before(job: JobContext) -> None: ...


@app.after
def after(job: JobContext, result: object) -> None: ...


@app.on_failure
async def on_failure(failed: FailedJob) -> None: ...


@app.resource
async def client() -> AsyncIterator[Client]:
    yield Client()


@app.resource(scope="job")
def session(client: Client = Provided) -> Iterator[bytearray]:
    yield bytearray(client.get(""))


@app.job(
    retry={
        ConnectionError: exponential("1s"),
        ValueError: False,
        OSError: "3s",
        HttpError: by_status,
    },
    expires="1h",
    lifo=True,
    log_limit=10,
    stacktrace_limit=2,
    on_failure=lambda failed: None,
)
async def fetch(url: str, *, client: Client = Provided, session: bytearray = Provided) -> int:
    assert_type(client, Client)
    session.extend(url.encode())
    return client.get(url)


@app.job(backoff=lambda attempt, error: f"{attempt}s")
def blocking(number: int) -> bool:
    return number > 0


def test_enqueueing_needs_no_resource_and_decorators_leave_functions_as_they_are() -> None:
    assert_type(fetch.spec("https://example.org"), JobSpec)
    assert_type(client, Callable[[], AsyncIterator[Client]])
    assert {"url": "https://example.org"} == fetch.spec("https://example.org").data
    assert ("1h", True) == (fetch.defaults.expires, fetch.defaults.lifo)
    assert (10, 2) == (fetch.defaults.log_limit, fetch.defaults.stacktrace_limit)
    assert blocking.defaults.backoff is None


if TYPE_CHECKING:

    async def jobs_keep_their_signature() -> None:
        assert_type(await fetch.enqueue("https://example.org"), Job[int])
        assert_type(await fetch.options(deduplication="a", expires="1h").enqueue("b"), Job[int])
        assert_type(await (await blocking.enqueue(1)).result(), bool)
        assert_type(await blocking.schedule("id", Schedule.every("1h"), 1), Job[bool])
        await blocking.schedule("id", Schedule.every("1h"), "1")  # type: ignore[arg-type]

    async def wrong_calls_are_refused() -> None:
        await fetch.enqueue()  # type: ignore[call-arg]
        await fetch.enqueue("b", client="c")  # type: ignore[arg-type]
        fetch.options(prioritiy=1)  # type: ignore[call-arg]
        fetch.options(delay=1)  # type: ignore[arg-type]

    def wrong_declarations_are_refused() -> None:
        @app.middleware  # type: ignore[type-var]
        def plain(job: JobContext, call_next: CallNext) -> int:
            return 1

        @app.resource  # type: ignore[type-var]
        async def returns() -> Client:
            return Client()

        app.resource(scope="day")  # type: ignore[call-overload]
        app.job(retry={ValueError: 3})  # type: ignore[dict-item]

    def workers_take_one_handler_or_several(
        one: Callable[[JobContext], Awaitable[int]], other: Callable[[JobContext], str]
    ) -> None:
        Worker("q", one, middlewares=[timed], limiter=RateLimit(max=1, per="1s"))
        Worker("q", {"one": one, "other": other})
