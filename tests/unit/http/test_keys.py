"""Keys that ``oxcart keys`` made: their form, their end, and a database that does not answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.http.conftest import Connect
from tests.unit.http.fakes import ADA, FakeKeys, FakeSystem, make_settings

from oxcart._auth.api_keys import PREFIX, Scope, hash_key, id_of, make_key
from oxcart._auth.identity import CredentialRejected
from oxcart.database.errors import DatabaseUnavailable
from oxcart.http.keys import TRUST_SECONDS, USE_SECONDS, KeyRing

SECOND = timedelta(seconds=1)


def test_key_names_its_id_and_has_a_recognisable_prefix() -> None:
    first, second = make_key(), make_key()

    assert first.text.startswith(f"{PREFIX}{first.id}_")
    assert first.id == id_of(first.text)
    assert hash_key(first.text) == first.hash
    assert len({first.text, second.text, first.id, second.id}) == 4
    assert first.text.rpartition("_")[2] not in first.hash


@pytest.mark.parametrize("change", ["", "x", "é", "_", "\n"])
def test_text_of_another_form_is_not_a_key(change: str) -> None:
    text = make_key().text

    assert id_of(text[:-1] + change) is None or change == "x"
    assert id_of(f" {text}") is None
    assert id_of(text.upper()) is None


def ring(keys: FakeKeys, now: list[float]) -> KeyRing:
    return KeyRing(make_settings(), keys, clock=lambda: now[0])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"expires_at": datetime.now(UTC) - SECOND}, "expired"),
        ({"revoked_at": datetime.now(UTC) - SECOND}, "revoked"),
        ({"hash": "0" * 64}, "wrong"),
    ],
    ids=["expired", "revoked", "other secret"],
)
async def test_key_that_is_over_is_refused_by_name(changes: dict[str, object], reason: str) -> None:
    keys = FakeKeys()
    text = keys.put(Scope.OPERATOR, **changes)

    with pytest.raises(CredentialRejected, match=reason):
        await ring(keys, [0.0]).scopes_of(text)

    assert keys.used == []


async def test_key_of_no_row_is_wrong() -> None:
    with pytest.raises(CredentialRejected, match="wrong"):
        await ring(FakeKeys(), [0.0]).scopes_of(make_key().text)


async def test_use_is_recorded_once_a_minute() -> None:
    keys, now = FakeKeys(), [0.0]
    text = keys.put(Scope.METRICS)
    known = ring(keys, now)

    for now[0] in (0.0, 1.0, USE_SECONDS - 1.0, USE_SECONDS):
        assert {Scope.METRICS} == await known.scopes_of(text)

    assert [id_of(text)] * 2 == keys.used


async def test_key_seen_lately_is_valid_while_the_database_does_not_answer() -> None:
    """Monitors read /metrics above all when something is down."""
    keys, now = FakeKeys(), [0.0]
    text, unseen = keys.put(Scope.METRICS), keys.put(Scope.METRICS)
    known = ring(keys, now)
    await known.scopes_of(text)
    keys.error = DatabaseUnavailable("down")

    now[0] = TRUST_SECONDS - 1.0
    assert {Scope.METRICS} == await known.scopes_of(text)
    with pytest.raises(DatabaseUnavailable):
        await known.scopes_of(unseen)

    now[0] = TRUST_SECONDS * 2.0
    with pytest.raises(DatabaseUnavailable):
        await known.scopes_of(text)


async def test_revoked_key_is_not_remembered() -> None:
    keys, now = FakeKeys(), [0.0]
    text = keys.put(Scope.METRICS)
    known = ring(keys, now)
    await known.scopes_of(text)
    keys.known.clear()
    keys.put(Scope.METRICS)

    with pytest.raises(CredentialRejected):
        await known.scopes_of(text)
    keys.error = DatabaseUnavailable("down")
    with pytest.raises(DatabaseUnavailable):
        await known.scopes_of(text)


async def test_scoped_key_cannot_name_a_user(connect: Connect, system: FakeSystem) -> None:
    headers = {"x-api-key": system.keys.put(Scope.METRICS), "x-oxcart-user": ADA.id}

    response = await connect(headers).get("/api/exports")

    assert 403 == response.status_code
    assert "'service'" in response.json()["detail"]


async def test_key_with_the_scope_of_a_service_acts_for_the_named_user(
    connect: Connect, system: FakeSystem
) -> None:
    headers = {"x-api-key": system.keys.put(Scope.SERVICE), "x-oxcart-user": ADA.id}

    assert 200 == (await connect(headers).get("/api/exports/export-ada")).status_code
