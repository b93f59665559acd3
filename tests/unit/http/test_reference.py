"""The API's own reference."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import httpx2
import pytest

from oxcart.http.problems import Kind

ROUTES = {
    ("post", "/api/exports"),
    ("get", "/api/exports"),
    ("get", "/api/exports/{exportId}"),
    ("get", "/api/exports/{exportId}/file"),
    ("get", "/api/exports/{exportId}/events"),
    ("post", "/api/exports/{exportId}/ticket"),
    ("get", "/api/queues"),
    ("get", "/api/queues/status/{jobId}"),
    ("get", "/api/queues/status/{jobId}/events"),
    ("post", "/api/queues/status/{jobId}/ticket"),
    ("post", "/api/queues/webhook"),
    ("get", "/api/webhooks/deliveries"),
    ("get", "/api/webhooks/deliveries/{deliveryId}"),
    ("post", "/api/webhooks/deliveries/{deliveryId}/redeliver"),
    ("post", "/api/worker/burst"),
    ("get", "/metrics"),
    ("get", "/api/health"),
    ("get", "/api/health/live"),
}


class Page(HTMLParser):
    """What of a page matters to a content policy."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href"):
                self.sources.append(value or "")
            if name == "id":
                self.ids.add(value or "")
            assert not name.startswith("on")
            assert name != "style"


async def test_page_needs_no_script_and_nothing_from_elsewhere(
    anonymous: httpx2.AsyncClient,
) -> None:
    response = await anonymous.get("/docs")

    page = Page(response.text)
    assert response.status_code == 200
    assert "script" not in page.tags
    assert not [source for source in page.sources if source[0] not in "/#"]


async def test_pages_policy_allows_its_own_style_sheet_only(anonymous: httpx2.AsyncClient) -> None:
    response = await anonymous.get("/docs")

    (style,) = re.findall(r"<style>(.*?)</style>", response.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = response.headers["content-security-policy"]
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in policy


async def test_page_shows_every_route_and_explains_every_problem(
    anonymous: httpx2.AsyncClient,
) -> None:
    text = (await anonymous.get("/docs")).text

    for method, path in ROUTES:
        assert f"<b>{method.upper()}</b> {path}<" in text
    assert {kind.slug for kind in Kind} <= Page(text).ids


async def test_openapi_names_routes_keys_and_problems(anonymous: httpx2.AsyncClient) -> None:
    document = (await anonymous.get("/openapi.json")).json()

    operations = {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert set(operations) == ROUTES
    for operation in operations.values():
        unprocessable = operation["responses"].get("422", {}).get("content", {})
        assert "application/json" not in unprocessable  # FastAPI's own refusal, which is ours here
        assert "application/problem+json" in operation["responses"]["default"]["content"]
    without_key = {path for (_, path), shown in operations.items() if "security" not in shown}
    assert {"/api/health", "/api/health/live"} == without_key


async def test_openapi_names_the_types_of_exports(anonymous: httpx2.AsyncClient) -> None:
    schemas = (await anonymous.get("/openapi.json")).json()["components"]["schemas"]

    types = schemas["ExportRequest"]["properties"]["type"]["enum"]
    assert types == ["ANALYTICS", "MEMBERS", "USER_DATA", "WIKI_PAGES"]


async def test_every_reference_in_openapi_leads_somewhere(anonymous: httpx2.AsyncClient) -> None:
    response = await anonymous.get("/openapi.json")

    schemas = response.json()["components"]["schemas"]
    names = set(re.findall(r'"#/components/schemas/(\w+)"', response.text))
    assert names <= set(schemas)
    assert {"Problem", "ExportRequest", "WebhookEvent"} <= names


@pytest.mark.parametrize("path", ["/redoc", "/docs/oauth2-redirect"])
async def test_frameworks_own_pages_are_not_there(anonymous: httpx2.AsyncClient, path: str) -> None:
    assert (await anonymous.get(path)).status_code == 404


def test_reference_document_names_every_route_and_every_problem() -> None:
    text = (Path(__file__).parents[3] / "docs" / "reference" / "http.md").read_text("utf-8")

    assert [path for method, path in ROUTES if f"# `{method.upper()} {path}`" not in text] == []
    assert [kind.slug for kind in Kind if f"`{kind.slug}`" not in text] == []


async def test_webhook_is_described_with_its_signature(anonymous: httpx2.AsyncClient) -> None:
    document = (await anonymous.get("/openapi.json")).json()

    webhook = document["paths"]["/api/queues/webhook"]["post"]
    assert {"webhookSignature": []} in webhook["security"]
    scheme = document["components"]["securitySchemes"]["webhookSignature"]
    assert (scheme["in"], scheme["name"]) == ("header", "webhook-signature")
    assert "409" in webhook["responses"]
