"""JSON Web Tokens at the API, and the settings that they need."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from tests.unit.auth.test_jwt import AUDIENCE, EC, ISSUER, RSA, SECRET, jwks, sign
from tests.unit.http.conftest import Connect
from tests.unit.http.fakes import ADA, BOB, FakeSystem, make_settings

from oxcart._settings.identity_rules import token_problems
from oxcart.http.guesses import BUDGET

TOKENS: dict[str, Any] = {"jwt_issuers": (ISSUER,), "jwt_audiences": (AUDIENCE,)}


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(jwks(RSA, EC)))
    return path


def token(**claims: Any) -> dict[str, str]:
    now = int(time.time())
    times = {"exp": now + 60, "iat": now}
    return {"authorization": f"Bearer {sign(RSA, 'RS256', **times | claims)}"}


async def test_token_acts_for_its_user_and_needs_no_origin(
    connect: Connect, system: FakeSystem, keys_file: Path
) -> None:
    system.settings = make_settings(jwt_keys_file=keys_file, **TOKENS)

    shown = await connect(token()).get("/api/exports/export-ada")
    others = await connect(token(sub=BOB.id)).get("/api/exports/export-ada")
    made = await connect(token()).post("/api/exports", json={"type": "USER_DATA"})
    erased = await connect(token(sub="erased")).get("/api/exports")
    named = await connect({**token(), "x-oxcart-user": BOB.id}).get("/api/exports")
    events = await connect(token()).post("/api/queues/webhook", json={})

    assert [200, 404, 200, 401, 403, 401] == [
        item.status_code for item in (shown, others, made, erased, named, events)
    ]
    assert "JSON Web Token" in erased.json()["detail"]


async def test_expired_tokens_do_not_slow_down_the_address(
    connect: Connect, system: FakeSystem, keys_file: Path
) -> None:
    """Clients behind one proxy share an address, and a signature cannot be guessed."""
    system.settings = make_settings(jwt_keys_file=keys_file, **TOKENS)
    client = connect()

    expired = [
        (await client.get("/api/exports", headers=token(exp=number))).status_code
        for number in range(BUDGET + 2)
    ]

    assert {401} == set(expired)
    assert 200 == (await client.get("/api/exports", headers=token())).status_code


async def test_keys_that_cannot_be_fetched_are_a_503(connect: Connect, system: FakeSystem) -> None:
    system.settings = make_settings(jwt_jwks_url="http://127.0.0.1:9/jwks", **TOKENS)

    response = await connect(token()).get("/api/exports")

    assert (503, "10") == (response.status_code, response.headers["retry-after"])
    assert "/docs#keys-unavailable" == response.json()["type"]


async def test_key_of_the_environment_may_look_like_a_token(
    connect: Connect, system: FakeSystem
) -> None:
    """Some hosts give out service keys that are JSON Web Tokens themselves."""
    key = token()["authorization"].removeprefix("Bearer ")
    system.settings = make_settings(service_keys=(key,), jwt_secret=SECRET, **TOKENS)
    headers = {"authorization": f"Bearer {key}", "x-oxcart-user": ADA.id}

    assert 200 == (await connect(headers).get("/api/exports")).status_code


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"jwt_issuers": ()}, "OXCART_JWT_ISSUERS"),
        ({"jwt_audiences": ()}, "OXCART_JWT_AUDIENCES"),
        ({"jwt_secret": None}, "OXCART_JWT_ISSUERS"),
        ({"jwt_algorithms": ("none",)}, "OXCART_JWT_ALGORITHMS"),
        ({"jwt_algorithms": ("RS256",)}, "OXCART_JWT_JWKS_URL"),
        (
            {
                "jwt_algorithms": ("HS256",),
                "jwt_secret": None,
                "jwt_jwks_url": "https://login.example/jwks",
            },
            "OXCART_JWT_SECRET",
        ),
        ({"jwt_secret": "-----BEGIN PUBLIC KEY-----"}, "OXCART_JWT_SECRET"),
        ({"jwt_secret": "short"}, "OXCART_JWT_SECRET"),
        ({"jwt_jwks_url": "http://login.example/jwks"}, "OXCART_JWT_JWKS_URL"),
        ({"jwt_keys_file": Path("/nonexistent")}, "OXCART_JWT_KEYS_FILE"),
        ({}, None),
        ({"jwt_jwks_url": "http://127.0.0.1/jwks"}, None),
        ({"jwt_secret": None, "jwt_issuers": (), "jwt_audiences": ()}, None),
    ],
)
def test_settings_that_would_accept_too_much_are_problems(
    changes: dict[str, Any], variable: str | None
) -> None:
    settings = make_settings(**{"env": "production", "jwt_secret": SECRET, **TOKENS, **changes})

    problems = [problem.variable for problem in token_problems(settings)]

    assert ([] if variable is None else [variable]) == problems
