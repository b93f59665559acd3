"""Authentication by a hook of the application, and by a trusted proxy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from starlette.requests import Request
from tests.unit.http.conftest import Connect
from tests.unit.http.fakes import ADA, BOB, SERVICE_KEY, FakeSystem, make_settings

from oxcart._settings.identity_rules import hook_problems
from oxcart.errors import ConfigError
from oxcart.http import CredentialRejected, Identity, create_app
from oxcart.http.auth import Authenticator
from oxcart.http.hooks import load_hook
from oxcart.system import System

HOOK = """
from oxcart.http import CredentialRejected, Identity

number = 7


async def identify(request):
    name = request.headers.get("x-badge")
    if name is None:
        return None
    if name == "stolen":
        raise CredentialRejected("the badge was reported as stolen")
    return Identity(email=f"{name}@example.org", is_from_cookie=False)


def broken(request):
    return "ada"
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of the application, which no other test has imported."""
    (tmp_path / "unit_badges.py").write_text(HOOK)
    monkeypatch.syspath_prepend(tmp_path)
    yield "unit_badges"
    sys.modules.pop("unit_badges", None)


async def test_hook_of_the_settings_finds_the_user(
    connect: Connect, system: FakeSystem, module: str
) -> None:
    system.settings = make_settings(auth_hook=f"{module}:identify")

    shown = await connect({"x-badge": "ada"}).get("/api/exports/export-ada")
    others = await connect({"x-badge": "bob"}).get("/api/exports/export-ada")
    made = await connect({"x-badge": "ada"}).post("/api/exports", json={"type": "USER_DATA"})
    stolen = await connect({"x-badge": "stolen"}).get("/api/exports")
    unknown = await connect({"x-badge": "eve"}).get("/api/exports")
    by_key = {"x-api-key": SERVICE_KEY, "x-oxcart-user": ADA.id}
    keyed = await connect(by_key).get("/api/exports/export-ada")

    answers = (shown, others, made, stolen, unknown, keyed)
    assert [200, 404, 200, 401, 401, 200] == [answer.status_code for answer in answers]
    assert "stolen" in stolen.json()["detail"]
    assert "hook" in stolen.json()["detail"]


async def test_hook_that_returns_something_else_is_an_error_and_lets_no_one_in(
    connect: Connect, system: FakeSystem, module: str
) -> None:
    system.settings = make_settings(auth_hook=f"{module}:broken")

    assert 500 == (await connect().get("/api/exports")).status_code


async def test_hook_that_reads_a_cookie_needs_a_trusted_origin(system: FakeSystem) -> None:
    """Unless it says otherwise, an identity counts as one that the browser sends by itself."""

    def by_cookie(request: Request) -> Identity | None:
        return Identity(user_id=request.cookies["user"]) if "user" in request.cookies else None

    api = create_app(cast("System", system), authenticate=by_cookie)
    api.state.authenticator = Authenticator(system.settings, system.users, hook=by_cookie)
    transport = httpx2.ASGITransport(api)
    headers = {"cookie": f"user={ADA.id}", "origin": "https://evil.example"}
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8400", headers=headers
    ) as client:
        shown = await client.get("/api/exports/export-ada")
        forged = await client.post("/api/exports", json={"type": "USER_DATA"})

    assert (200, 403) == (shown.status_code, forged.status_code)
    assert "/docs#cross-site" == forged.json()["type"]


@pytest.mark.parametrize("path", ["unit_badges:missing", "unit_badges:number", "no_such_module:x"])
def test_hook_that_cannot_be_loaded_stops_the_start(module: str, path: str) -> None:
    del module
    with pytest.raises(ConfigError, match="OXCART_AUTH_HOOK"):
        load_hook(path)


PROXY, ELSEWHERE = ("10.0.0.7", 1), ("203.0.113.7", 1)
SAME_ORIGIN = {"sec-fetch-site": "same-origin"}


@pytest.mark.parametrize(
    ("peer", "headers", "status"),
    [
        (PROXY, {"x-forwarded-user": ADA.id}, 200),
        (PROXY, {"x-forwarded-user": ADA.email}, 200),
        (PROXY, {"x-forwarded-user": BOB.id}, 404),
        (PROXY, {"x-forwarded-user": "erased"}, 401),
        (PROXY, {"x-forwarded-user": " "}, 401),
        (PROXY, {}, 401),
        (PROXY, {"x-oxcart-user": ADA.id}, 401),
        (ELSEWHERE, {"x-forwarded-user": ADA.id}, 401),
        (ELSEWHERE, {"x-forwarded-user": ADA.id, "x-forwarded-for": "10.0.0.7"}, 401),
    ],
)
async def test_user_that_a_proxy_names_is_believed_from_trusted_proxies_alone(
    connect: Connect,
    system: FakeSystem,
    peer: tuple[str, int],
    headers: dict[str, str],
    status: int,
) -> None:
    system.settings = make_settings(
        trusted_proxies=("10.0.0.0/8",), proxy_user_header="X-Forwarded-User"
    )

    response = await connect(headers, peer=peer).get("/api/exports/export-ada")

    assert status == response.status_code, response.text


async def test_header_that_the_client_sent_as_well_is_refused(
    connect: Connect, system: FakeSystem
) -> None:
    system.settings = make_settings(
        trusted_proxies=("10.0.0.0/8",), proxy_user_header="X-Forwarded-User"
    )
    both = [("x-forwarded-user", BOB.id), ("x-forwarded-user", ADA.id)]

    response = await connect(peer=PROXY).get("/api/exports/export-ada", headers=both)

    assert 401 == response.status_code


async def test_proxy_that_logs_in_by_cookie_needs_a_trusted_origin(
    connect: Connect, system: FakeSystem
) -> None:
    system.settings = make_settings(
        trusted_proxies=("10.0.0.0/8",), proxy_user_header="X-Forwarded-User"
    )
    client = connect({"x-forwarded-user": ADA.id}, peer=PROXY)
    post: Callable[..., Any] = client.post

    assert 403 == (await post("/api/exports", json={"type": "USER_DATA"})).status_code
    own = await post("/api/exports", json={"type": "USER_DATA"}, headers=SAME_ORIGIN)
    assert 200 == own.status_code


@pytest.mark.parametrize(
    ("changes", "variables"),
    [
        ({"auth_hook": "badges:identify"}, []),
        ({"auth_hook": "badges"}, ["OXCART_AUTH_HOOK"]),
        ({"proxy_user_header": "X-User"}, ["OXCART_PROXY_USER_HEADER"]),
        ({"proxy_user_header": "X-User", "trusted_proxies": ("10.0.0.7",)}, []),
        (
            {"proxy_user_header": "Cookie", "trusted_proxies": ("10.0.0.7",)},
            ["OXCART_PROXY_USER_HEADER"],
        ),
    ],
)
def test_settings_that_cannot_work_are_problems(
    changes: dict[str, Any], variables: list[str]
) -> None:
    problems = hook_problems(make_settings(**changes))

    assert variables == [problem.variable for problem in problems]


def test_rejection_is_part_of_the_interface() -> None:
    assert "gone" == str(CredentialRejected("gone"))
