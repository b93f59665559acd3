"""The examples of the reference run as they stand, against a real server."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from tests.integration.database.rows import insert_user
from tests.integration.http.running import make_settings, working
from tests.support import free_port

from oxcart.http import create_app, serve
from oxcart.system import open_system

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "http.md"


async def test_examples_run(valkey_url: str, prefix: str, tmp_path: Path) -> None:
    """As a program on the same machine, in development, without a key."""
    blocks = re.findall(r"```python\n(.*?)```", REFERENCE.read_text("utf-8"), re.DOTALL)
    port = free_port()
    settings = make_settings(
        tmp_path,
        redis_url=valkey_url,
        prefix=prefix,
        env="development",
        database_url=None,
        api_url=f"http://127.0.0.1:{port}",
    )
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    async with (
        open_system(settings) as system,
        working(system),
        asyncio.TaskGroup() as tasks,
    ):
        await insert_user(
            system.database, user_id="user_admin", email="admin@cofactor.example", role="ADMIN"
        )
        app = create_app(system)
        tasks.create_task(serve(app, "127.0.0.1", port, ready=url.set_result, stop=stop))
        try:
            program = "\n".join(blocks).replace("http://localhost:8400", await url)
            await asyncio.to_thread(run, program)
        finally:
            stop.set()


def run(program: str) -> None:
    names: dict[str, Any] = {}
    try:
        exec(compile(program, REFERENCE.name, "exec"), names)  # noqa: S102  # our own document
    finally:
        names["http"].close()
