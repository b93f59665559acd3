"""The health report."""

from fastapi import APIRouter, Response

from oxcart.http.dependencies import CurrentHealthProbe
from oxcart.http.health import Check
from oxcart.http.schemas import CheckAnswer, ChecksAnswer, HealthAnswer, LiveAnswer, iso

UNAVAILABLE = 503

router = APIRouter(prefix="/api", tags=["health"])


@router.head("/health", include_in_schema=False)
@router.get(
    "/health", response_model_exclude_unset=True, responses={UNAVAILABLE: {"model": HealthAnswer}}
)
async def health(probe: CurrentHealthProbe, response: Response) -> HealthAnswer:
    """Report health: 200 when healthy or degraded, 503 when unhealthy. Needs no key."""
    report = await probe.report()
    if report.status == "unhealthy":
        response.status_code = UNAVAILABLE
    checks = ChecksAnswer(database=_shown(report.database), queues=_shown(report.queues))
    return HealthAnswer(status=report.status, timestamp=iso(report.checked_at), checks=checks)


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live")
async def live() -> LiveAnswer:
    """Say that the process answers, whatever it depends on. Needs no key."""
    return LiveAnswer(status="alive")


def _shown(check: Check) -> CheckAnswer:
    if check.error is None:
        return CheckAnswer(status=check.status)
    return CheckAnswer(status=check.status, error=check.error)
