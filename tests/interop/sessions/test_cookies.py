"""Session cookies made by both majors of NextAuth, valid ones and invalid ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from tests.interop.sessions.installation import NodeHome, TokenOrder
from tests.unit.http.fakes import (
    ADA,
    BOB,
    SERVICE_KEY,
    FakeSystem,
    FakeUsers,
    make_api,
    make_settings,
)

from oxcart.http.problems import MEDIA_TYPE

SECRET = "s3cret-of-the-site-0123456789abcdef"
OLD_SECRET = "s3cret-before-it-was-replaced-0123"
FOREIGN_SECRET = "s3cret-of-another-site-0123456789a"
V4, V4_SECURE = "next-auth.session-token", "__Secure-next-auth.session-token"
V5, V5_SECURE = "authjs.session-token", "__Secure-authjs.session-token"
SITE = "https://club.example.org"

Tokens = Mapping[str, str]
Cookies = Callable[[Tokens], dict[str, str]]
Call = Callable[..., Any]

ADAS = {"sub": ADA.id, "email": ADA.email, "name": ADA.name, "role": "ADMIN"}
ORDERS = [
    TokenOrder(name="v4", major=4, secret=SECRET, claims=ADAS),
    TokenOrder(name="v4 bob", major=4, secret=SECRET, claims={"sub": BOB.id}),
    TokenOrder(name="v4 old", major=4, secret=OLD_SECRET, claims=ADAS),
    TokenOrder(name="v4 foreign", major=4, secret=FOREIGN_SECRET, claims=ADAS),
    TokenOrder(name="v4 expired", major=4, secret=SECRET, claims=ADAS, max_age=-60),
    TokenOrder(name="v4 mail", major=4, secret=SECRET, claims={"email": ADA.email}),
    TokenOrder(name="v4 id", major=4, secret=SECRET, claims={"sub": "x", "userId": ADA.id}),
    TokenOrder(name="v4 erased", major=4, secret=SECRET, claims={**ADAS, "sub": "user-erased"}),
    TokenOrder(name="v4 nobody", major=4, secret=SECRET, claims={"name": "Ada"}),
    TokenOrder(name="v4 big", major=4, secret=SECRET, claims={**ADAS, "padding": "p" * 6000}),
    TokenOrder(name="v5", major=5, secret=SECRET, claims=ADAS, salt=V5),
    TokenOrder(name="v5 secure", major=5, secret=SECRET, claims=ADAS, salt=V5_SECURE),
    TokenOrder(name="v5 old", major=5, secret=OLD_SECRET, claims=ADAS, salt=V5),
    TokenOrder(name="v5 foreign", major=5, secret=FOREIGN_SECRET, claims=ADAS, salt=V5),
    TokenOrder(name="v5 expired", major=5, secret=SECRET, claims=ADAS, salt=V5, max_age=-60),
    TokenOrder(name="v5 csrf", major=5, secret=SECRET, claims=ADAS, salt="authjs.csrf-token"),
    TokenOrder(name="v5 own name", major=5, secret=SECRET, claims=ADAS, salt="club.session"),
    TokenOrder(
        name="v5 big", major=5, secret=SECRET, claims={**ADAS, "padding": "p" * 6000}, salt=V5
    ),
]


@pytest.fixture(scope="session")
def tokens(node_home: NodeHome) -> Tokens:
    """A token of each order, made by the real packages."""
    return node_home.make_tokens(ORDERS)


@pytest.fixture
async def call() -> AsyncIterator[Call]:
    """Sends a request with cookies to the application, as a proxy does for a browser."""
    clients: list[httpx2.AsyncClient] = []

    async def call(
        cookies: Mapping[str, str],
        method: str = "GET",
        path: str = "/api/exports/export-ada",
        headers: Mapping[str, str] | None = None,
        users: FakeUsers | None = None,
        **settings: Any,
    ) -> httpx2.Response:
        defaults: dict[str, Any] = {
            "nextauth_secret": SECRET,
            "old_session_secrets": (OLD_SECRET,),
            "app_url": SITE,
        }
        system = FakeSystem(settings=make_settings(**(defaults | settings)))
        system.users = users or system.users
        transport = httpx2.ASGITransport(make_api(system), client=("203.0.113.7", 1))
        client = httpx2.AsyncClient(transport=transport, base_url="http://api.internal:8400")
        clients.append(client)
        shown = "; ".join(f"{name}={value}" for name, value in cookies.items())
        given = {"cookie": shown, **(headers or {})}
        body = {"type": "USER_DATA"} if method == "POST" else None
        return await client.request(method, path, headers=given, json=body)

    yield call
    for client in clients:
        await client.aclose()


def chunked(name: str, token: str, size: int = 3900) -> dict[str, str]:
    """The cookies that NextAuth splits a token over."""
    chunks = [token[start : start + size] for start in range(0, len(token), size)]
    assert len(chunks) > 1
    return {f"{name}.{number}": chunk for number, chunk in enumerate(chunks)}


def reversed_order(cookies: dict[str, str]) -> dict[str, str]:
    return dict(reversed(cookies.items()))


def exchanged(cookies: dict[str, str]) -> dict[str, str]:
    """The chunks with each other's numbers."""
    return dict(zip(cookies, reversed(cookies.values()), strict=True))


def changed(token: str, part: int) -> str:
    """A token with one character of a part changed, in the middle, where every bit counts."""
    parts = token.split(".")
    middle = len(parts[part]) // 2
    character = "A" if parts[part][middle] != "A" else "B"
    parts[part] = parts[part][:middle] + character + parts[part][middle + 1 :]
    return ".".join(parts)


LOGGED_IN: dict[str, Cookies] = {
    "v4": lambda t: {V4: t["v4"]},
    "v4 over HTTPS": lambda t: {V4_SECURE: t["v4"]},
    "v5": lambda t: {V5: t["v5"]},
    "v5 over HTTPS": lambda t: {V5_SECURE: t["v5 secure"]},
    "v4, replaced secret": lambda t: {V4: t["v4 old"]},
    "v5, replaced secret": lambda t: {V5: t["v5 old"]},
    "v4, no sub": lambda t: {V4: t["v4 mail"]},
    "v4 in chunks": lambda t: chunked(V4, t["v4 big"]),
    "v5 in chunks": lambda t: chunked(V5, t["v5 big"]),
    "v5 in chunks, sent backwards": lambda t: reversed_order(chunked(V5, t["v5 big"])),
    "v5 beside a stale cookie of v4": lambda t: {V4: t["v4 expired"], V5: t["v5"]},
    "v4 beside a stale token in chunks": lambda t: {V4: t["v4"], **chunked(V4, t["v5 big"])},
    "beside other cookies": lambda t: {"theme": "dark", "a": "b=c", V4: t["v4"]},
}


@pytest.mark.parametrize("case", LOGGED_IN)
async def test_user_of_the_site_is_logged_in(tokens: Tokens, call: Call, case: str) -> None:
    response = await call(LOGGED_IN[case](tokens))

    assert 200 == response.status_code, response.text
    assert "export-ada" == response.json()["export"]["id"]


REFUSED: dict[str, tuple[str, Cookies]] = {
    "v4 expired": ("expired", lambda t: {V4: t["v4 expired"]}),
    "v5 expired": ("expired", lambda t: {V5: t["v5 expired"]}),
    "v4 wrong secret": ("not made with", lambda t: {V4: t["v4 foreign"]}),
    "v5 wrong secret": ("not made with", lambda t: {V5: t["v5 foreign"]}),
    "v5 other cookie's salt": ("not made with", lambda t: {V5: t["v5 secure"]}),
    "v5 csrf token's salt": ("not made with", lambda t: {V5: t["v5 csrf"]}),
    "v4 erased user": ("does not exist", lambda t: {V4: t["v4 erased"]}),
    "v4 names no user": ("neither", lambda t: {V4: t["v4 nobody"]}),
    "v4 header changed": ("not made with", lambda t: {V4: changed(t["v4"], 0)}),
    "v4 content changed": ("not made with", lambda t: {V4: changed(t["v4"], 3)}),
    "v5 vector changed": ("not made with", lambda t: {V5: changed(t["v5"], 2)}),
    "v5 content changed": ("not made with", lambda t: {V5: changed(t["v5"], 3)}),
    "v5 tag changed": ("not made with", lambda t: {V5: changed(t["v5"], 4)}),
    "v5 with v4's header": (
        "not made with",
        lambda t: {V5: ".".join([t["v4"].split(".")[0], *t["v5"].split(".")[1:]])},
    ),
    "chunks exchanged": ("session cookie", lambda t: exchanged(chunked(V4, t["v4 big"]))),
    "first chunk alone": (
        "session cookie",
        lambda t: {f"{V4}.0": chunked(V4, t["v4 big"])[f"{V4}.0"]},
    ),
    "alg none": ("session cookie", lambda _: {V4: "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c2VyLWFkYSJ9."}),
    "not encrypted": ("session cookie", lambda _: {V4: "4f6d3f0e-0000-4000-8000-000000000000"}),
    "not base64": ("not made with", lambda _: {V4: "eyJ.%C3%BC.=.*.x"}),
    "compressed": (
        "not made with",
        lambda t: {V4: ".".join(["eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwiemlwIjoiREVGIn0",
                                 *t["v4"].split(".")[1:]])},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_invalid_session_is_refused_with_the_accepted_methods(
    tokens: Tokens, call: Call, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    caplog.set_level("DEBUG")
    reason, make_cookies = REFUSED[case]
    cookies = make_cookies(tokens)

    response = await call(cookies)

    assert 401 == response.status_code, response.text
    assert MEDIA_TYPE == response.headers["content-type"]
    problem = response.json()
    assert reason in problem["detail"]
    assert "Authorization: Bearer" in problem["detail"]
    assert "session cookie" in problem["detail"].partition("; accepted: ")[2]
    (record,) = [item for item in caplog.records if item.message == "http.credential_rejected"]
    assert reason in vars(record)["reason"]
    told = response.text + "".join(str(vars(item)) for item in caplog.records)
    assert not [value for value in (*cookies.values(), SECRET, OLD_SECRET) if value in told]


@pytest.mark.parametrize(("minutes", "status"), [(5, 401), (-5, 200)], ids=["now", "earlier"])
async def test_suspended_user_is_not_logged_in(
    tokens: Tokens, call: Call, minutes: int, status: int
) -> None:
    until = datetime.now(UTC) + timedelta(minutes=minutes)
    users = FakeUsers(known=(replace(ADA, suspended_until=until),))

    response = await call({V4: tokens["v4"]}, users=users)

    assert status == response.status_code
    assert ("suspended" in response.text) == (status == 401)


async def test_another_users_session_does_not_show_the_export(tokens: Tokens, call: Call) -> None:
    assert 404 == (await call({V4: tokens["v4 bob"]})).status_code


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/queues/webhook"), ("POST", "/api/worker/burst"), ("GET", "/metrics")],
)
async def test_session_gives_the_users_rights_alone(
    tokens: Tokens, call: Call, method: str, path: str
) -> None:
    """The token says ADMIN; that is a role in the site, and no operator's key."""
    response = await call({V4: tokens["v4"]}, method, path, headers={"origin": SITE})

    assert response.status_code in (401, 403)


async def test_wrong_key_is_not_saved_by_a_session(tokens: Tokens, call: Call) -> None:
    response = await call({V4: tokens["v4"]}, headers={"x-api-key": "wrong"})

    assert 401 == response.status_code


async def test_session_cannot_act_for_another_user(tokens: Tokens, call: Call) -> None:
    named = {"x-oxcart-user": BOB.id}

    assert 401 == (await call({V4: tokens["v4"]}, headers=named)).status_code


async def test_key_counts_before_a_session(tokens: Tokens, call: Call) -> None:
    headers = {"x-api-key": SERVICE_KEY, "x-oxcart-user": ADA.id}

    assert 200 == (await call({V4: tokens["v4 bob"]}, headers=headers)).status_code


async def test_sessions_that_are_off_are_ignored(tokens: Tokens, call: Call) -> None:
    response = await call({V4: tokens["v4"]}, sessions="off")

    assert 401 == response.status_code
    assert "session cookie" not in response.json()["detail"]


async def test_each_secret_of_a_rotation_is_accepted(tokens: Tokens, call: Call) -> None:
    """Auth.js reads AUTH_SECRET_1 to AUTH_SECRET_3 beside AUTH_SECRET."""
    secrets = {"nextauth_secret": None, "old_session_secrets": ()}

    for name in ("auth_secret", "auth_secret_1", "auth_secret_2", "auth_secret_3"):
        others = {"auth_secret": FOREIGN_SECRET, **secrets, name: SECRET}
        assert 200 == (await call({V5: tokens["v5"]}, **others)).status_code


async def test_names_and_claim_can_be_set(tokens: Tokens, call: Call) -> None:
    own_name = {"session_cookies": ("club.session",)}

    assert 200 == (await call({"club.session": tokens["v5 own name"]}, **own_name)).status_code
    assert 200 == (await call({V4: tokens["v4 id"]}, session_user_claim="userId")).status_code
    assert 200 == (await call({V4: tokens["v4"]}, session_user_claim="email")).status_code
    assert 401 == (await call({V4: tokens["v4"]}, **own_name)).status_code


SAME_ORIGIN = {"sec-fetch-site": "same-origin"}
ORIGINS: dict[str, tuple[dict[str, str], int]] = {
    "own page": ({**SAME_ORIGIN, "origin": SITE}, 200),
    "own page behind a proxy": ({**SAME_ORIGIN, "origin": "https://alias.example.org"}, 200),
    "own page, old browser": ({"origin": SITE}, 200),
    "page of a trusted sibling": (
        {"sec-fetch-site": "same-site", "origin": "https://app.example.org"},
        200,
    ),
    "own page by its Referer": ({"referer": f"{SITE}/exports?page=2"}, 200),
    "another site": ({"sec-fetch-site": "cross-site", "origin": "https://evil.example"}, 403),
    "another site, old browser": ({"origin": "https://evil.example"}, 403),
    "sibling that is not trusted": (
        {"sec-fetch-site": "same-site", "origin": "https://blog.example.org"},
        403,
    ),
    "same host without TLS": ({"origin": "http://club.example.org"}, 403),
    "same host, other port": ({"origin": f"{SITE}:8443"}, 403),
    "host that begins alike": ({"origin": f"{SITE}.evil.example"}, 403),
    "trusted name as a user name": ({"origin": f"{SITE}@evil.example"}, 403),
    "sandboxed page": ({"sec-fetch-site": "cross-site", "origin": "null"}, 403),
    "none of the headers": ({}, 403),
    "address bar": ({"sec-fetch-site": "none"}, 403),
}


@pytest.mark.parametrize("case", ORIGINS)
async def test_session_changes_something_only_for_pages_of_trusted_origins(
    tokens: Tokens, call: Call, case: str
) -> None:
    headers, status = ORIGINS[case]

    response = await call(
        {V4: tokens["v4"]},
        "POST",
        "/api/exports",
        headers,
        trusted_origins=("https://app.example.org",),
    )

    assert status == response.status_code, response.text
    if status == 403:
        assert "/docs#cross-site" == response.json()["type"]


async def test_key_needs_no_origin(call: Call) -> None:
    headers = {"x-api-key": SERVICE_KEY, "x-oxcart-user": ADA.id, "origin": "https://evil.example"}

    assert 200 == (await call({}, "POST", "/api/exports", headers)).status_code
