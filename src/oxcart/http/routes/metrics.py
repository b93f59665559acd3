"""The figures for Prometheus."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from oxcart.http.dependencies import CurrentMetricsProbe, Watcher

TEXT = {"text/plain": {"schema": {"type": "string"}}}

router = APIRouter(tags=["metrics"])


@router.get("/metrics", response_class=Response, responses={200: {"content": TEXT}})
async def metrics(_watcher: Watcher, probe: CurrentMetricsProbe, request: Request) -> Response:
    """Tell the figures of all queues, and of this process, as Prometheus reads them.

    For operators; in development also for programs on this machine.
    """
    text, media_type = await probe.write(request.headers.get("accept", ""))
    return Response(text, headers={"content-type": media_type})
