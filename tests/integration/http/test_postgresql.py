"""What differs on PostgreSQL: it refuses NUL characters, and it can go away."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.integration.database.postgres import PostgresServer, shared_server
from tests.integration.http.running import (
    ADA,
    OPERATOR,
    SERVICE_KEY,
    acting_for,
    add_users,
    connected,
    make_settings,
    until_finished,
    working,
)

from oxcart.system import open_system


@pytest.fixture(scope="module")
def postgres(request: pytest.FixtureRequest) -> PostgresServer:
    return shared_server(request)


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[ExitStack]:
    """A database that the test may drop early, by closing this."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def database_url(postgres: PostgresServer, database: ExitStack) -> str:
    return database.enter_context(postgres.new_database())


async def test_export_goes_its_way(
    valkey_url: str, prefix: str, tmp_path: Path, database_url: str
) -> None:
    settings = make_settings(
        tmp_path, redis_url=valkey_url, prefix=prefix, database_url=database_url
    )
    async with open_system(settings) as system, connected(system, acting_for(ADA)) as ada:
        await add_users(system.database)
        created = await ada.post("/api/exports", json={"type": "USER_DATA"})
        export_id = created.json()["exportJob"]["id"]
        async with working(system):
            await until_finished(ada, export_id)
        file = await ada.get(f"/api/exports/{export_id}/file")

    assert file.status_code == 200
    assert file.content.startswith(b"PK")


def cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "path",
    [
        f"/api/exports?cursor={cursor('1.a' + chr(0))}",
        f"/api/exports?cursor={cursor('99999999999999.a')}",
        f"/api/exports?cursor={cursor('-99999999999999.a')}",
        f"/api/exports?cursor={cursor('-62135596800000.a')}",
        f"/api/exports?cursor={cursor('1e5.a')}",
        "/api/exports?status=PENDING%00",
        "/api/exports/a%00b",
        "/api/queues/status/a%00b",
    ],
)
async def test_text_that_postgresql_cannot_hold_is_no_500(
    valkey_url: str, prefix: str, tmp_path: Path, database_url: str, path: str
) -> None:
    settings = make_settings(
        tmp_path, redis_url=valkey_url, prefix=prefix, database_url=database_url
    )
    async with open_system(settings) as system, connected(system, acting_for(ADA)) as ada:
        await add_users(system.database)

        response = await ada.get(path)

    assert response.status_code < 500, response.text


async def test_database_that_goes_away_is_a_503_and_an_unhealthy_report(
    valkey_url: str, prefix: str, tmp_path: Path, database_url: str, database: ExitStack
) -> None:
    settings = make_settings(
        tmp_path, redis_url=valkey_url, prefix=prefix, database_url=database_url
    )
    async with open_system(settings) as system, connected(system, OPERATOR) as operator:
        await add_users(system.database)
        assert (await operator.get("/api/exports/none")).status_code == 404
        database.close()

        export = await operator.get("/api/exports/none")
        user = await operator.get("/api/exports", headers=acting_for(ADA))
        health = await operator.get("/api/health")

    for response in (export, user):
        assert response.status_code == 503
        assert response.json()["type"] == "/docs#database-unavailable"
        assert "retry-after" in response.headers
    assert health.status_code == 503
    assert health.json()["checks"]["database"]["status"] == "unhealthy"
    assert health.json()["checks"]["queues"] == {"status": "healthy"}
    for response in (export, user, health):
        assert SERVICE_KEY not in response.text
        assert "test_" not in response.text
