from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

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

from oxcart.system import System, open_system


@pytest.fixture
async def system(valkey_url: str, prefix: str, tmp_path: Path) -> AsyncIterator[System]:
    """The whole system, on a real Valkey and a real SQLite file, with three users."""
    settings = make_settings(tmp_path, redis_url=valkey_url, prefix=prefix)
    async with open_system(settings) as system:
        await add_users(system.database)
        yield system


@pytest.fixture
async def ada(system: System) -> AsyncIterator[httpx2.AsyncClient]:
    async with connected(system, acting_for(ADA)) as client:
        yield client


@pytest.fixture
async def operator(system: System) -> AsyncIterator[httpx2.AsyncClient]:
    async with connected(system, OPERATOR) as client:
        yield client
