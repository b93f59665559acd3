"""Pages of exact origins may call the API; no other page may read anything."""

from __future__ import annotations

import httpx2
import pytest
from tests.unit.http.fakes import OPERATOR_KEY, FakeSystem, make_api, make_settings

CLUB = "https://club.example"
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "x"}


@pytest.fixture
def client() -> httpx2.AsyncClient:
    settings = make_settings(cors_origins=(CLUB, "http://localhost:3000"))
    api = make_api(FakeSystem(settings=settings))
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(api), base_url="http://api")


@pytest.mark.parametrize("path", ["/api/exports", "/api/health", "/nothing"])
async def test_allowed_page_may_read_answers_and_refusals(
    client: httpx2.AsyncClient, path: str
) -> None:
    response = await client.get(path, headers={"origin": CLUB})

    assert response.headers["access-control-allow-origin"] == CLUB
    assert response.headers["access-control-allow-credentials"] == "true"
    assert "Retry-After" in response.headers["access-control-expose-headers"]
    assert "Origin" in response.headers["vary"]


async def test_preflight_of_an_allowed_page_is_answered_without_a_key(
    client: httpx2.AsyncClient,
) -> None:
    response = await client.options("/api/exports", headers={"origin": CLUB} | PREFLIGHT)

    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == CLUB
    assert "POST" in response.headers["access-control-allow-methods"]
    assert "Content-Type" in response.headers["access-control-allow-headers"]
    assert "x-oxcart-user" not in response.headers["access-control-allow-headers"].lower()
    assert int(response.headers["access-control-max-age"]) > 0
    assert response.headers["x-request-id"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example", "null", "*", "https://club.example.evil.example", "http://club.example",
        "https://club.example:443", "https://club.example/", "https://CLUB.example", "",
    ],
)  # fmt: skip
async def test_no_other_page_may_read_anything(client: httpx2.AsyncClient, origin: str) -> None:
    answer = await client.get("/api/health", headers={"origin": origin})
    preflight = await client.options("/api/exports", headers={"origin": origin} | PREFLIGHT)

    assert preflight.status_code == 405
    for response in (answer, preflight):
        assert not [name for name in response.headers if name.startswith("access-control")]
        assert "Origin" in response.headers["vary"]


async def test_request_of_an_allowed_page_needs_a_credential_all_the_same(
    client: httpx2.AsyncClient,
) -> None:
    refused = await client.get("/metrics", headers={"origin": CLUB})
    key = {"authorization": f"Bearer {OPERATOR_KEY}"}
    accepted = await client.get("/metrics", headers={"origin": CLUB} | key)

    assert (refused.status_code, accepted.status_code) == (401, 200)
