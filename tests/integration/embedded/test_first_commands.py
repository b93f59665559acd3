"""The README's first commands, in both orders, on a private Valkey: no warning, nothing left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.embedded.processes import processes_naming
from tests.support import wait_until_sync

_JOBS = """
import oxcart

app = oxcart.App()


@app.job(attempts=5, backoff=oxcart.exponential("2s"), timeout="1m")
async def resize(image_id: int, width: int = 800) -> str:
    return f"/images/{image_id}-{width}.webp"
"""
_SITE = """
import asyncio

from jobs import app, resize


async def main() -> None:
    async with app:
        job = await resize.enqueue(image_id=7)
        print(await job.result(timeout="30s"))


asyncio.run(main())
"""


class Commands:
    """Runs the worker and the script in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("OXCART_") and name != "REDIS_URL"
        }
        (folder / "jobs.py").write_text(_JOBS)
        (folder / "site_.py").write_text(_SITE)

    def start_worker(self) -> subprocess.Popen[str]:
        return self._start("-m", "oxcart", "worker", "jobs:app")

    def start_script(self) -> subprocess.Popen[str]:
        return self._start("site_.py")

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.mark.parametrize("first", ["worker", "script"])
def test_first_commands_print_no_warning(data_dir: Path, tmp_path: Path, first: str) -> None:
    commands = Commands(tmp_path)
    for _ in range(2):
        if first == "worker":
            worker, script = commands.start_worker(), commands.start_script()
        else:
            script, worker = commands.start_script(), commands.start_worker()

        assert script.communicate(timeout=60)[0] == "/images/7-800.webp\n"
        # The worker goes on with the server that the script may have started.
        again = commands.start_script()
        assert again.communicate(timeout=60)[0] == "/images/7-800.webp\n"
        worker.terminate()
        log = worker.communicate(timeout=60)[0]

        assert worker.returncode == 0
        assert "worker.started" in log
        assert not [word for word in ("warning", "error", "Traceback") if word in log], log
        wait_until_sync(lambda: not processes_naming(tmp_path / ".oxcart"), what="all have ended")
