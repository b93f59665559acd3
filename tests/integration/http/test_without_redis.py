"""The API goes on without Redis, says so clearly, and quickly."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.integration.http.running import (
    ADA,
    OPERATOR,
    acting_for,
    add_users,
    connected,
    make_settings,
)
from tests.support import ValkeyServer

from oxcart.system import System, open_system

QUICK_SECONDS = 2.0


@pytest.fixture
async def system(own_valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[System]:
    async with open_system(make_settings(tmp_path, redis_url=own_valkey.url)) as system:
        await add_users(system.database)
        yield system


async def quick(client: httpx2.AsyncClient, method: str, path: str, **more: Any) -> httpx2.Response:
    started = time.monotonic()
    response = await client.request(method, path, **more)
    assert time.monotonic() - started < QUICK_SECONDS
    return response


async def test_export_is_taken_in_and_the_answer_says_that_it_waits(
    own_valkey: ValkeyServer, ada: httpx2.AsyncClient
) -> None:
    own_valkey.kill()

    for _ in range(3):
        response = await quick(ada, "POST", "/api/exports", json={"type": "USER_DATA"})

        assert response.status_code == 200
        answer = response.json()
        assert answer["exportJob"]["status"] == "PENDING"
        assert "jobId" not in answer["exportJob"]
        assert "by itself" in answer["message"]


async def test_status_says_when_to_ask_again_and_works_again_by_itself(
    own_valkey: ValkeyServer, operator: httpx2.AsyncClient
) -> None:
    path = "/api/queues/status/7"
    own_valkey.kill()

    for _ in range(3):
        response = await quick(operator, "GET", path)
        assert response.status_code == 503
        assert response.json()["type"] == "/docs#queue-unavailable"
        assert "retry-after" in response.headers

    own_valkey.start()
    status = 503
    async with asyncio.timeout(15):
        while status == 503:
            await asyncio.sleep(0.05)
            status = (await operator.get(path)).status_code
    assert status == 404


async def test_health_is_degraded_and_not_unhealthy(
    own_valkey: ValkeyServer, ada: httpx2.AsyncClient
) -> None:
    own_valkey.kill()

    response = await ada.get("/api/health")

    assert response.status_code == 200
    assert response.json()["status"] == "degraded"
    assert response.json()["checks"]["database"] == {"status": "healthy"}
    assert response.json()["checks"]["queues"]["status"] == "unhealthy"
    assert str(own_valkey.port) not in response.text


async def test_server_that_accepts_and_never_answers_is_waited_for_once(tmp_path: Path) -> None:
    """A black hole: the connection opens, and nothing comes."""
    with socket.create_server(("127.0.0.1", 0)) as hole:
        url = f"redis://127.0.0.1:{hole.getsockname()[1]}/0"
        async with open_system(make_settings(tmp_path, redis_url=url)) as system:
            await add_users(system.database)
            async with connected(system, acting_for(ADA)) as ada:
                first = await ada.post("/api/exports", json={"type": "USER_DATA"})
                again = await quick(ada, "POST", "/api/exports", json={"type": "USER_DATA"})

    assert (first.status_code, again.status_code) == (200, 200)
    assert "jobId" not in again.json()["exportJob"]


async def test_operator_sees_the_reason_in_one_sentence(
    system: System, own_valkey: ValkeyServer
) -> None:
    own_valkey.kill()

    async with connected(system, OPERATOR) as operator:
        problem = (await operator.get("/api/queues/status/7")).json()

    assert problem["error"] == "The job queue does not answer. Try again in a few seconds."
