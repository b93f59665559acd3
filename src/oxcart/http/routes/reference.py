"""The reference page, drawn on the server without a script."""

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from oxcart.http.reference import page_policy, reference_page

router = APIRouter()


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """Show the API's reference."""
    page = reference_page(request.app.openapi())
    headers = {"content-security-policy": page_policy(), "cache-control": "no-cache"}
    return HTMLResponse(page, headers=headers)
