"""What type checkers know about declared jobs; ``make types`` checks this file."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from oxcart import App, Job, JobSpec

app = App("redis://127.0.0.1:1/0", prefix="typing")


@app.job
async def bare(number: int) -> str:
    return str(number)


@app.job(queue="other", attempts=2)
async def with_options(number: int, *, text: str = "") -> list[int]:
    return [number] * len(text)


@app.job("renamed")
def blocking(number: int) -> bool:
    return number > 0


def test_declared_jobs_keep_the_signature_of_their_handler() -> None:
    assert_type(bare.spec(7), JobSpec)
    assert ("bare", "default") == (bare.name, bare.queue)
    assert ("renamed", 0) == (blocking.name, blocking.defaults.priority)
    assert blocking(3) is True


if TYPE_CHECKING:

    async def results_are_those_of_the_handler() -> None:
        assert_type(await bare.enqueue(7), Job[str])
        assert_type(await bare.options(delay="1s").enqueue(number=7), Job[str])
        assert_type(await (await with_options.enqueue(1, text="a")).result(), list[int])
        assert_type(await (await blocking.enqueue(1)).result(), bool)

    async def wrong_arguments_are_refused() -> None:
        await bare.enqueue("seven")  # type: ignore[arg-type]
        await with_options.enqueue(1, "a")  # type: ignore[call-arg]
        await blocking.enqueue()  # type: ignore[call-arg]
