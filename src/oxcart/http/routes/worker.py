"""Running jobs because a timer asks for it, on hosts that let no worker run."""

from typing import Annotated

from fastapi import APIRouter, Query

from oxcart.http.dependencies import BurstRunner, CurrentBursts
from oxcart.http.schemas import BurstAnswer, BurstQuery

router = APIRouter(prefix="/api/worker", tags=["worker"])


@router.post("/burst")
async def run_burst(
    _caller: BurstRunner, bursts: CurrentBursts, query: Annotated[BurstQuery, Query()]
) -> BurstAnswer:
    """Run the e-mails and exports that wait, until none does or the time is over.

    One at a time; for operators.
    """
    report = await bursts.run(max_jobs=query.max_jobs, max_seconds=query.max_seconds)
    return BurstAnswer.of(report)


@router.get("/burst", include_in_schema=False)
async def run_burst_by_get(
    _caller: BurstRunner, bursts: CurrentBursts, query: Annotated[BurstQuery, Query()]
) -> BurstAnswer:
    """Do the same for timers that can only send GET, as Vercel's."""
    report = await bursts.run(max_jobs=query.max_jobs, max_seconds=query.max_seconds)
    return BurstAnswer.of(report)
