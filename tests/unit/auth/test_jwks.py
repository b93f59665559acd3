"""An issuer's keys: kept, fetched again in bounded numbers, replaced, and away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from joserfc.jwk import OKPKey
from tests.integration.http.running import running
from tests.unit.auth.test_jwt import jwks

from oxcart._auth.jwks import (
    FAILED_SECONDS,
    FRESH_SECONDS,
    MAX_DOCUMENT_BYTES,
    STALE_SECONDS,
    UNKNOWN_KEY_SECONDS,
    RemoteKeys,
    fetch_json,
)
from oxcart._auth.jwt import KeysUnavailable

FIRST = OKPKey.generate_key("Ed25519", {"kid": "first"})
SECOND = OKPKey.generate_key("Ed25519", {"kid": "second"})


class Issuer:
    """An issuer's URL and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.document: object = jwks(FIRST)
        self.fetch_count = 0
        self.keys = RemoteKeys("https://login.example/jwks", self.fetch, clock=lambda: self.now)

    async def fetch(self, _: str) -> object:
        self.fetch_count += 1
        await asyncio.sleep(0)
        if isinstance(self.document, Exception):
            raise self.document
        return self.document

    async def ids(self, key_id: str | None) -> list[str | None]:
        return [key.kid for key in await self.keys.find("OKP", key_id)]


async def test_keys_are_fetched_once_for_many_tokens_at_a_time() -> None:
    issuer = Issuer()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(20):
            tasks.create_task(issuer.ids("first"))

    issuer.now = FRESH_SECONDS - 1
    assert ["first"] == await issuer.ids("first")
    assert 1 == issuer.fetch_count


async def test_new_key_is_fetched_when_a_token_names_it_once_a_minute_at_most() -> None:
    issuer = Issuer()
    await issuer.ids("first")
    issuer.document = jwks(FIRST, SECOND)

    for _ in range(50):
        assert [] == await issuer.ids("second")
    assert 1 == issuer.fetch_count

    issuer.now = UNKNOWN_KEY_SECONDS
    assert ["second"] == await issuer.ids("second")
    for number in range(50):
        assert [] == await issuer.ids(f"made-up-{number}")
    assert 2 == issuer.fetch_count


async def test_withdrawn_key_is_not_accepted_once_the_keys_are_fetched_again() -> None:
    issuer = Issuer()
    await issuer.ids("first")
    issuer.document = jwks(SECOND)

    issuer.now = FRESH_SECONDS
    assert [] == await issuer.ids("first")
    assert ["second"] == await issuer.ids("second")


@pytest.mark.parametrize("document", [OSError("down"), {"keys": []}, "text"], ids=repr)
async def test_known_keys_are_used_for_an_hour_while_the_url_does_not_answer(
    document: object,
) -> None:
    issuer = Issuer()
    await issuer.ids("first")
    issuer.document = document

    issuer.now = FRESH_SECONDS
    for _ in range(20):
        assert ["first"] == await issuer.ids("first")
    assert 2 == issuer.fetch_count  # not again within FAILED_SECONDS
    with pytest.raises(KeysUnavailable):
        await issuer.ids("second")  # it may be a new one

    issuer.now = STALE_SECONDS
    with pytest.raises(KeysUnavailable):
        await issuer.ids("first")

    issuer.document, issuer.now = jwks(FIRST), STALE_SECONDS + FAILED_SECONDS
    assert ["first"] == await issuer.ids("first")


async def test_only_one_request_waits_for_a_url_that_hangs() -> None:
    issuer = Issuer()
    await issuer.ids("first")
    hanging, answer = asyncio.Event(), asyncio.Event()

    async def hang(_: str) -> object:
        hanging.set()
        await answer.wait()
        return issuer.document

    issuer.keys._fetch = hang
    issuer.now = FRESH_SECONDS
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(issuer.ids("first"))
        await hanging.wait()
        assert ["first"] == await issuer.ids("first")
        assert not waiting.done()
        answer.set()

    assert ["first"] == waiting.result()


async def test_first_fetch_that_fails_is_told_from_an_unknown_key() -> None:
    issuer = Issuer()
    issuer.document = OSError("down")

    for _ in range(20):
        with pytest.raises(KeysUnavailable):
            await issuer.ids("first")

    assert 1 == issuer.fetch_count


ANSWERS: dict[str, tuple[int, bytes]] = {
    "/jwks": (200, b'{"keys": []}'),
    "/error": (500, b"{}"),
    "/moved": (302, b"{}"),
    "/html": (200, b"<html>"),
    "/large": (200, b'"' + b"x" * MAX_DOCUMENT_BYTES + b'"'),
}


async def _serve(scope: Any, _receive: Any, send: Any) -> None:
    status, content = ANSWERS[scope["path"]]
    headers = [(b"location", b"/jwks")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with running(_serve, asyncio.Event()) as url:
        yield url


async def test_document_is_fetched_from_the_url_itself_and_of_bounded_size(url: str) -> None:
    assert {"keys": []} == await fetch_json(f"{url}/jwks")
    for path in ("/error", "/moved", "/html", "/large"):
        with pytest.raises(ValueError, match=r"status|bytes|Expecting"):
            await fetch_json(f"{url}{path}")
