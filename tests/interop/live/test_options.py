"""The options of a job, read by the other side under its own names."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.interop.live.node_side import NodeSide
from tests.interop.live.oxcart_side import OxcartSide

from oxcart import Backoff, Deduplication, JobOptions, Retention, exponential, fixed
from oxcart.errors import JobFailed


async def test_node_reads_the_options_that_oxcart_wrote(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    job = await queue.add(
        "echo",
        job_id="order-7",
        delay="1h",
        priority=7,
        lifo=True,
        attempts=4,
        backoff=exponential("2s", jitter=0.5),
        keep_completed=Retention(count=10, age="1h", limit=50),
        keep_failed=Retention.NONE,
        timestamp=datetime(2030, 1, 2, tzinfo=UTC),
        stacktrace_limit=3,
        size_limit=1_000,
        log_limit=9,
        deduplication=Deduplication(id="d", ttl="1m", extend=True, replace=True),
        telemetry_metadata="00-trace",
        omit_telemetry_context=True,
    )

    opts = (await node.queue().job(job.id))["opts"]

    assert {"type": "exponential", "delay": 2_000, "jitter": 0.5} == opts.pop("backoff")
    assert {"count": 10, "age": 3_600, "limit": 50} == opts.pop("removeOnComplete")
    assert {"id": "d", "ttl": 60_000, "extend": True, "replace": True} == opts.pop("deduplication")
    assert {"metadata": "00-trace", "omitContext": True} == opts.pop("telemetry")
    assert opts.pop("removeOnFail") in (True, {"count": 0})
    assert {
        "jobId": "order-7",
        "delay": 3_600_000,
        "priority": 7,
        "lifo": True,
        "attempts": 4,
        "timestamp": 1_893_542_400_000,
        "stackTraceLimit": 3,
        "sizeLimit": 1_000,
        "keepLogs": 9,
    } == opts


async def test_oxcart_reads_the_options_that_node_wrote(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    await node.queue().add(
        "echo",
        jobId="order-7",
        delay=3_600_000,
        priority=7,
        lifo=True,
        attempts=4,
        backoff={"type": "exponential", "delay": 2_000, "jitter": 0.5},
        removeOnComplete={"count": 10, "age": 3_600},
        removeOnFail=5,
        timestamp=1_893_542_400_000,
        stackTraceLimit=3,
        sizeLimit=1_000,
        keepLogs=9,
        deduplication={"id": "d", "ttl": 60_000, "extend": True},
        telemetry={"metadata": "00-trace"},
    )

    job = await queue.get_job("order-7")

    assert job is not None
    options = job.options
    assert options == JobOptions(
        job_id=options.job_id,
        delay=options.delay,
        priority=7,
        lifo=True,
        attempts=4,
        backoff=exponential("2s", jitter=0.5),
        keep_completed=options.keep_completed,
        keep_failed=Retention(count=5),
        stacktrace_limit=3,
        size_limit=1_000,
        log_limit=9,
        deduplication=options.deduplication,
        telemetry_metadata="00-trace",
    )
    assert options.keep_completed is not None
    assert (10, 3_600) == (options.keep_completed.count, options.keep_completed.age_seconds)
    assert options.dedup is not None
    assert ("d", 60_000, True) == (options.dedup.id, options.dedup.ttl_ms, options.dedup.extend)
    assert (3_600_000, 1_893_542_400_000) == (job.delay_ms, job.created_at_ms)


@pytest.mark.parametrize(
    ("backoff", "written"),
    [(fixed("1s"), {"type": "fixed", "delay": 1_000}), (None, None)],
)
async def test_backoff_that_oxcart_wrote_is_what_node_reads(
    node: NodeSide, oxcart_side: OxcartSide, backoff: Backoff | None, written: object
) -> None:
    queue = await oxcart_side.queue()
    job = await queue.add("echo", backoff=backoff)

    assert written == (await node.queue().job(job.id))["opts"].get("backoff")


async def test_job_that_expires_is_run_by_node_and_failed_unrun_by_oxcart(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    worker = await node.queue().start_worker()
    in_time = await queue.add("echo", "in time", expires="1h")
    assert "in time" == await in_time.result()
    await worker.close()

    late = await queue.add("echo", expires=datetime(2020, 1, 1, tzinfo=UTC))
    async with oxcart_side.worker():
        with pytest.raises(JobFailed, match="expire"):
            await late.result()
