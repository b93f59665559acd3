"""Wrong keys are slowed down for each address, without locking out clients that were in before."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import httpx2
import pytest
from starlette.requests import Request
from tests.unit.http.fakes import OPERATOR_KEY, SERVICE_KEY, FakeSystem, make_api

from oxcart.http import guesses
from oxcart.http.guesses import BUDGET, SECONDS_EACH, Guesses
from oxcart.http.problems import ProblemError

ATTACKER = "203.0.113.66"


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make_request(client: str, key: str = "wrong") -> Request:
    headers = [(b"x-api-key", key.encode())]
    return Request({"type": "http", "headers": headers, "client": (client, 1)})


def client_at(api: object, address: str) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(api, client=(address, 1))  # type: ignore[arg-type]  # FastAPI
    return httpx2.AsyncClient(transport=transport, base_url="http://api")


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def test_wrong_keys_get_429_and_other_clients_do_not(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "oxcart.http")
    api = make_api(FakeSystem())
    api.state.guesses = Guesses(clock)
    async with client_at(api, ATTACKER) as attacker, client_at(api, "203.0.113.7") as other:
        before = await attacker.get("/metrics", headers=bearer(OPERATOR_KEY))
        wrong = [
            await attacker.get("/metrics", headers=bearer(f"guess-{number}"))
            for number in range(99)
        ]
        right_guess = await attacker.get("/api/exports", headers=bearer(SERVICE_KEY))
        known = await attacker.get("/metrics", headers=bearer(OPERATOR_KEY))
        elsewhere = await other.get("/metrics", headers=bearer(OPERATOR_KEY))

    assert [one.status_code for one in wrong] == [401] * BUDGET + [429] * (99 - BUDGET)
    assert right_guess.status_code == 429, "a guess that is right would stand out"
    assert (before.status_code, known.status_code, elsewhere.status_code) == (200, 200, 200)
    assert 0 < int(wrong[-1].headers["retry-after"]) <= SECONDS_EACH
    assert wrong[-1].headers["content-type"] == "application/problem+json"
    events = [record for record in caplog.records if record.message == "auth.credential_refused"]
    assert [record.__dict__["client"] for record in events] == [ATTACKER] * BUDGET
    assert "guess-" not in caplog.text


def test_budget_fills_up_again(clock: Clock) -> None:
    guesses = Guesses(clock)
    for number in range(BUDGET):
        guesses.refused(make_request(ATTACKER, f"guess-{number}"))
    with pytest.raises(ProblemError):
        guesses.check(make_request(ATTACKER))

    clock.now += SECONDS_EACH
    guesses.check(make_request(ATTACKER))
    guesses.refused(make_request(ATTACKER))

    with pytest.raises(ProblemError):
        guesses.check(make_request(ATTACKER))


def test_guesses_under_way_together_lock_no_longer_than_the_budget(clock: Clock) -> None:
    guesses = Guesses(clock)
    for number in range(1000):  # all were checked before the first was refused
        guesses.refused(make_request(ATTACKER, f"guess-{number}"))

    clock.now += SECONDS_EACH

    guesses.check(make_request(ATTACKER))


def test_revoked_key_that_is_sent_again_and_again_does_not_lock_out_others(clock: Clock) -> None:
    guesses = Guesses(clock)
    guesses.accepted(make_request(ATTACKER, "revoked"))
    for _ in range(1000):
        guesses.check(make_request(ATTACKER, "revoked"))
        guesses.refused(make_request(ATTACKER, "revoked"))

    guesses.check(make_request(ATTACKER, "its-successor"))


def test_refused_key_is_not_exempt_any_more(clock: Clock) -> None:
    guesses = Guesses(clock)
    guesses.accepted(make_request(ATTACKER, "revoked"))
    guesses.refused(make_request(ATTACKER, "revoked"))
    for number in range(BUDGET):
        guesses.refused(make_request(ATTACKER, f"guess-{number}"))

    with pytest.raises(ProblemError):
        guesses.check(make_request(ATTACKER, "revoked"))


def test_addresses_of_one_ipv6_network_share_a_budget(clock: Clock) -> None:
    guesses = Guesses(clock)
    for number in range(BUDGET):
        guesses.refused(make_request(f"2001:db8:0:1::{number:x}", f"guess-{number}"))

    guesses.check(make_request("2001:db8:0:2::1"))
    with pytest.raises(ProblemError):
        guesses.check(make_request("2001:db8:0:1::ffff"))


def test_memory_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesses, "MAX_ADDRESSES", 10)
    monkeypatch.setattr(guesses, "MAX_ACCEPTED", 10)
    monkeypatch.setattr(guesses, "MAX_REFUSED", 10)
    counted = Guesses(clock)
    for number in range(50):
        counted.refused(make_request(f"203.0.113.{number}"))
        counted.accepted(make_request("203.0.113.1", f"key-{number}"))

    assert len(counted._full_at) == 10
    assert len(counted._accepted) == 10
    assert len(counted._refused) == 10
