"""The API opens by itself: at the host's start-up call, or at the first request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.integration.http.running import OPERATOR_KEY

from oxcart.errors import ConfigError
from oxcart.http.asgi import Api


@pytest.fixture
def environ(tmp_path: Path, valkey_url: str, prefix: str) -> dict[str, str]:
    return {
        "REDIS_URL": valkey_url,
        "OXCART_PREFIX": prefix,
        "OXCART_DATA_DIR": str(tmp_path),
        "OXCART_ENV": "test",
        "OXCART_OPERATOR_KEYS": OPERATOR_KEY,
    }


async def health(api: Api) -> int:
    transport = httpx2.ASGITransport(api)
    async with httpx2.AsyncClient(transport=transport, base_url="http://api") as client:
        return (await client.get("/api/health")).status_code


@asynccontextmanager
async def lifespan(api: Api, said: list[str]) -> AsyncIterator[None]:
    """What a host does around the requests."""
    calls: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    answered = asyncio.Event()

    async def send(message: Any) -> None:
        said.append(message["type"])
        answered.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(api({"type": "lifespan"}, calls.get, send))
        await calls.put({"type": "lifespan.startup"})
        await answered.wait()
        yield
        await calls.put({"type": "lifespan.shutdown"})


async def test_first_requests_open_it_once(environ: dict[str, str]) -> None:
    api = Api(environ)

    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(health(api)) for _ in range(5)]
    await api.close()

    assert {200} == {answer.result() for answer in answers}


async def test_host_opens_and_closes_it(environ: dict[str, str]) -> None:
    api = Api(environ)
    said: list[str] = []

    async with lifespan(api, said):
        status = await health(api)

    assert 200 == status
    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == said


async def test_wrong_settings_are_told_to_the_host(environ: dict[str, str]) -> None:
    api = Api(environ | {"OXCART_ENV": "production"})
    said: list[str] = []

    async with lifespan(api, said):
        pass

    assert ["lifespan.startup.failed"] == said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([("OXCART_BROKER", "kafka")], "OXCART_BROKER"),
        ([("OXCART_BROKER", "sqs")], "OXCART_SQS_QUEUES is not set, and OXCART_BROKER is sqs"),
        (
            [("OXCART_BROKER", "sqs"), ("OXCART_SQS_QUEUES", "email=nowhere")],
            "OXCART_SQS_QUEUES has 'nowhere' for 'email'",
        ),
    ],
)
async def test_wrong_broker_is_named(
    environ: dict[str, str], changes: Iterable[tuple[str, str]], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        await Api(environ | dict(changes)).open()
