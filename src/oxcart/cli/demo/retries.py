"""Two jobs that fail: one gets through on its third attempt, one fails for good."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from oxcart import App, Job, current_job, exponential, fixed
from oxcart.cli.demo.stage import Stage
from oxcart.errors import JobFailed

FLAKY_SUCCEEDS_AT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RetriedJob:
    """What became of a job that failed at first.

    Attributes:
        name: the job's name.
        state: its state in the end.
        attempts: how often it was run.
        says: its result, or why it failed.
        is_expected: whether this is what should have become of it.
    """

    name: str
    state: str
    attempts: int
    says: str
    is_expected: bool


async def run_retries(stage: Stage) -> list[RetriedJob]:
    """Declare two jobs on an application of our own, run them and see what becomes of them."""
    app = App(data_dir=stage.settings.data_dir)

    @app.job(queue="demo", attempts=5, backoff=exponential("150ms", jitter=0.2))
    async def charge_card(order: int) -> str:
        attempt = current_job().attempt
        if attempt < FLAKY_SUCCEEDS_AT:
            raise ConnectionError(f"the bank did not answer (attempt {attempt})")
        return f"order {order} paid"

    @app.job(queue="demo", attempts=3, backoff=fixed("200ms"))
    async def print_label(order: int) -> str:
        raise LookupError(f"order {order} has no address")

    async with app, asyncio.TaskGroup() as group:
        worker = app.worker({"demo": 2}, name="demo")
        group.create_task(worker.run())
        try:
            return [
                await _outcome(await charge_card.enqueue(order=1001), "completed", 3),
                await _outcome(await print_label.enqueue(order=1002), "failed", 3),
            ]
        finally:
            worker.stop()


async def _outcome(job: Job[str], state: str, attempts: int) -> RetriedJob:
    try:
        says = await job.result("20s")
    except JobFailed as error:
        says = error.reason
    finished = await job.refresh()
    found = await finished.state()
    return RetriedJob(
        name=finished.name,
        state=found.value,
        attempts=finished.attempts_made,
        says=says,
        is_expected=(found.value, finished.attempts_made) == (state, attempts),
    )
