"""``oxcart keys``: keys are made, used, listed and revoked, and never stored."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.integration.cli.programs import environment, run
from tests.integration.http.running import connected, make_settings

from oxcart._auth.api_keys import hash_key
from oxcart.system import open_system

if TYPE_CHECKING:
    from pathlib import Path


async def test_key_works_from_creation_to_revocation(
    valkey_url: str, prefix: str, tmp_path: Path
) -> None:
    settings = make_settings(tmp_path, redis_url=valkey_url, prefix=prefix)
    assert settings.database_url is not None
    env = environment(tmp_path, DATABASE_URL=settings.database_url)

    created = run(
        "keys", "create", "Prometheus", "--scope", "metrics", "--expires", "90d", "--json", env=env
    )
    plain = run("keys", "create", "Timer", "--scope", "burst", env=env)

    assert (created.returncode, plain.returncode) == (0, 0), created.stderr + plain.stderr
    key = json.loads(created.stdout)
    other = plain.stdout.strip()
    lasts = datetime.fromisoformat(key["expiresAt"]) - datetime.now(UTC)
    assert timedelta(days=89) < lasts < timedelta(days=90)
    async with open_system(settings) as system:
        async with connected(system, {"x-api-key": key["key"]}) as monitor:
            assert 200 == (await monitor.get("/metrics")).status_code
            assert 403 == (await monitor.get("/api/queues/status/1")).status_code

            assert run("keys", "revoke", key["id"], env=env).returncode == 0
            assert 401 == (await monitor.get("/metrics")).status_code
        async with connected(system, {"x-api-key": other}) as timer:
            assert 403 == (await timer.get("/metrics")).status_code

    listed = json.loads(run("keys", "list", "--json", env=env).stdout)
    assert [("Prometheus", "revoked"), ("Timer", "valid")] == [
        (item["name"], item["state"]) for item in listed
    ]
    assert [True, True] == [item["lastUsedAt"] is not None for item in listed]
    assert ["metrics"] == listed[0]["scopes"]
    assert "key" not in listed[0]
    table = run("keys", "list", env=env).stdout
    assert key["id"] in table

    stored = _bytes_of_database(tmp_path)
    for text in (key["key"], other):
        assert text.encode() not in stored
        assert text.rpartition("_")[2].encode() not in stored
        assert hash_key(text).encode() in stored


def _bytes_of_database(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("club.db*"))


def test_wrong_use_is_refused_and_makes_no_key(tmp_path: Path) -> None:
    env = environment(tmp_path)

    assert run("keys", "create", "x", env=env).returncode == 2
    assert run("keys", "create", "x", "--scope", "root", env=env).returncode == 2
    unending = run("keys", "create", "x", "--scope", "metrics", "--expires", "3", env=env)
    assert (unending.returncode, "'7d'" in unending.stderr) == (2, True)
    assert run("keys", "revoke", "nothing", env=env).returncode == 1
    assert [] == json.loads(run("keys", "list", "--json", env=env).stdout)
