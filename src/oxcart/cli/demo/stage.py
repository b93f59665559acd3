"""What the demo plays on: a folder, a private Valkey, SQLite, an API and a worker process."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from oxcart._private_files import FILE_MODE, make_private_folder, tighten_data_folder
from oxcart.cli.children import Children
from oxcart.cli.dev import prepare_database, start_programs
from oxcart.embedded import EmbeddedValkey
from oxcart.errors import ConfigError
from oxcart.observe.logs import configure_logs
from oxcart.settings import ENVIRONMENT, Settings

MARKER = "made-by-oxcart-demo"
READY_S = 30.0


@dataclass(frozen=True, slots=True)
class Stage:
    """A running system.

    Attributes:
        settings: what it runs with.
        folder: where it keeps everything.
        http: asks the API as an operator.
    """

    settings: Settings
    folder: Path
    http: httpx2.AsyncClient


@asynccontextmanager
async def open_stage(folder: Path) -> AsyncIterator[Stage]:
    """Start the system in an empty folder, and stop it at the end."""
    _empty(folder)
    key = secrets.token_urlsafe(24)
    _set_environment(folder, key)
    settings = Settings.from_env()
    configure_logs(level=settings.log_level, as_json=False)
    async with AsyncExitStack() as stack:
        server = EmbeddedValkey(settings.data_dir)
        await asyncio.to_thread(server.start)
        stack.push_async_callback(asyncio.to_thread, server.stop)
        await prepare_database(settings, with_sample=True)
        children = await stack.enter_async_context(Children())
        await start_programs(children, settings, port=None)
        http = await stack.enter_async_context(
            httpx2.AsyncClient(
                base_url=settings.base_url,
                headers={"Authorization": f"Bearer {key}"},
                timeout=10,
                trust_env=False,
            )
        )
        await _until_ready(http)
        yield Stage(settings, folder, http)


def _empty(folder: Path) -> None:
    """Start from nothing, but never delete a folder that an earlier demo did not make."""
    if folder.exists() and not (folder / MARKER).exists():
        raise ConfigError(f"{folder} exists and is not from an earlier demo; move it away first")
    shutil.rmtree(folder, ignore_errors=True)
    tighten_data_folder(folder.parent)
    make_private_folder(folder)
    (folder / MARKER).touch(mode=FILE_MODE)


def _set_environment(folder: Path, key: str) -> None:
    """Let this process and those it starts use the folder, whatever is set outside."""
    for names in ENVIRONMENT.values():
        for name in names:
            os.environ.pop(name, None)
    os.environ.update(
        OXCART_DATA_DIR=str(folder),
        OXCART_API_PORT=str(_free_port()),
        OXCART_OPERATOR_KEYS=key,
        OXCART_LOG_LEVEL="warning",
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _until_ready(http: httpx2.AsyncClient) -> None:
    async with asyncio.timeout(READY_S):
        while True:
            try:
                if (await http.get("/api/health")).status_code == httpx2.codes.OK:
                    return
            except httpx2.TransportError:
                pass
            await asyncio.sleep(0.05)
