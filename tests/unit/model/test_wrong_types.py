"""What is of the wrong type is refused with what it must be, and not from within."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from oxcart import App, Flow, FlowNode, FlowProducer, JobOptions, JobSpec, Queue, Schedule, Worker
from oxcart.errors import ConfigError
from oxcart.sync import Queue as SyncQueue

NOWHERE = "redis://127.0.0.1:1"
app = App(NOWHERE)
queue: Any = SyncQueue("q", redis_url=NOWHERE)
make: Any = FlowNode
any_job: Any = app.job
WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: work.options(attempt=3), "no job option 'attempt'; did you mean 'attempts'"),
    (lambda: work.options(removeOnComplete=True), "did you mean 'keep_completed'"),
    (lambda: queue.add("n", job_id=5), "job id 5 must be text"),
    (lambda: queue.add(5), "a job's name is 5; it must be text"),
    (lambda: queue.get_job(5), "job id 5 must be text"),
    (lambda: queue.cancel(None), "job id None must be text"),
    (lambda: SyncQueue(5), "queue name 5 must be"),  # type: ignore[arg-type]
    (lambda: queue.add_many([{"name": "n", "data": "s3cret"}]), "a job to add is a dict; it must"),
    (lambda: queue.add_many(JobSpec(name="n")), "add_many takes a list"),
    (lambda: queue.add_spec(JobSpec(name="n", options={"a": 1})), "must be JobOptions"),  # type: ignore[arg-type]
    (lambda: queue.upsert_scheduler("s", "* * * * *", "n"), "make it by Schedule.every"),
    (lambda: queue.upsert_scheduler(5, Schedule.every("1s"), "n"), "scheduler id 5 must be text"),
    (lambda: Schedule.cron(5), "cron pattern is 5; it must be a str"),  # type: ignore[arg-type]
    (lambda: Schedule.every("1s", start="now"), "it must be an aware datetime"),  # type: ignore[arg-type]
    (lambda: Schedule.every("1s", limit="3"), "limit is '3'; it must be"),  # type: ignore[arg-type]
    (lambda: JobOptions(timestamp=5), "timestamp is 5; it must be an aware datetime"),  # type: ignore[arg-type]
    (lambda: make("a", "b", children=make("c", "b")), "they must be a list of FlowNode"),
    (lambda: Flow(make("a", "b", children=[{"name": "c"}])), "a node of the flow is a dict"),
    (lambda: Worker("q", "work"), "a handler or hook is 'work'; it must be a function"),  # type: ignore[arg-type]
    (lambda: any_job("x")(5), "job 'x' is 5; it must be a function"),
    (lambda: any_job("x", on_failure=3)(len), "on_failure is 3; it must be a function"),
    (lambda: any_job("x", secrets="iban")(no_job), "give a set of names"),
    (lambda: any_job("x", backoff=5)(no_job), "backoff of job 'x' is 5; it must be a Backoff"),
    (lambda: any_job("x", retry=[OSError]), "must have a rule by class of error"),
    (lambda: App(5), "the Redis URL must start with"),  # type: ignore[arg-type]
]


def no_job() -> None:
    """Not declared."""


@app.job
async def declared() -> None:
    """A job."""


work: Any = declared


@pytest.mark.parametrize(("use", "told"), WRONG, ids=[told for _, told in WRONG])
def test_wrong_type_is_told_with_what_is_wanted(use: Callable[[], Any], told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        use()

    assert told in str(raised.value)
    assert "s3cret" not in str(raised.value)


async def test_names_of_jobs_and_nodes_that_are_no_text_are_told() -> None:
    wrong: Any = 5
    nodes = FlowProducer(redis_url=NOWHERE)

    with pytest.raises(ConfigError, match="a job's name is 5; it must be text"):
        await Queue("q", redis_url=NOWHERE).add(wrong)
    with pytest.raises(ConfigError, match="a node of the flow is a dict"):
        await nodes.add(make_dict())


def make_dict() -> Any:
    """A flow as BullMQ takes it."""
    return {"name": "x", "queueName": "q"}
