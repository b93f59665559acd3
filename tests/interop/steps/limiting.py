"""Limits: global concurrency, rate limits, deduplication ids."""

from __future__ import annotations

from typing import Any

from tests.interop.registry import operation
from tests.interop.session import Session
from tests.interop.vectors import Step

from oxcart import RateLimit


@operation("setGlobalConcurrency", fields="concurrency")
async def set_global_concurrency(session: Session, step: Step) -> str:
    await session.queue(step).set_concurrency(step["concurrency"])
    return "ok"


@operation("removeGlobalConcurrency")
async def remove_global_concurrency(session: Session, step: Step) -> Any:
    await session.queue(step).set_concurrency(None)
    return step.get("result")


@operation("getGlobalConcurrency")
async def get_global_concurrency(session: Session, step: Step) -> int | None:
    return await session.queue(step).get_concurrency()


@operation("isMaxed")
async def is_maxed(session: Session, step: Step) -> bool:
    return await session.queue(step).is_maxed()


@operation("setGlobalRateLimit", fields="max duration")
async def set_global_rate_limit(session: Session, step: Step) -> str:
    limit = RateLimit(max=step["max"], per=f"{step['duration']}ms")
    await session.queue(step).set_rate_limit(limit)
    return "ok"


@operation("removeGlobalRateLimit")
async def remove_global_rate_limit(session: Session, step: Step) -> Any:
    await session.queue(step).set_rate_limit(None)
    return step.get("result")


@operation("getGlobalRateLimit")
async def get_global_rate_limit(session: Session, step: Step) -> dict[str, int] | None:
    limit = await session.queue(step).get_rate_limit()
    return None if limit is None else {"max": limit.max, "duration": limit.per_ms}


@operation("rateLimit", fields="expireTimeMs")
async def rate_limit(session: Session, step: Step) -> str:
    await session.queue(step).rate_limit(f"{step['expireTimeMs']}ms")
    return "ok"


@operation("removeRateLimitKey")
async def remove_rate_limit_key(session: Session, step: Step) -> int:
    return int(await session.queue(step).remove_rate_limit())


@operation("getRateLimitTtl", fields="maxJobs")
async def get_rate_limit_ttl(session: Session, step: Step) -> int:
    left_ms = await session.queue(step).get_rate_limit_ttl(max=step.get("maxJobs"))
    return -(-left_ms // 1_000) * 1_000  # recorded rounded up to a second


@operation("getDeduplicationJobId", fields="id")
async def get_deduplication_job_id(session: Session, step: Step) -> str | None:
    return await session.queue(step).get_deduplication_job_id(step["id"])


@operation("removeDeduplicationKey", fields="id jobId")
async def remove_deduplication_key(session: Session, step: Step) -> bool | int:
    queue = session.queue(step)
    if "id" in step:
        return int(await queue.remove_deduplication_key(step["id"]))
    job = await queue.get_job(step["jobId"])
    assert job is not None
    assert job.deduplication_id is not None
    return await queue.remove_deduplication_key(job.deduplication_id, job_id=job.id)
