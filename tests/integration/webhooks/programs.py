"""Programs that tests run as processes of their own, to kill them.

python -m tests.integration.webhooks.programs <program> <arguments>
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from tests.integration.webhooks.running import (
    ended_export,
    opened,
    webhook_settings,
)

from oxcart.system import System


def running(
    folder: str, database_url: str, url: str, redis_url: str, prefix: str, secret: str
) -> AbstractAsyncContextManager[System]:
    """The system on places that the test has made, with one endpoint."""
    settings = webhook_settings(
        Path(folder),
        url,
        database_url=database_url,
        redis_url=redis_url,
        prefix=prefix,
        webhook_secrets=(f"site={secret}",),
    )
    return opened(settings, is_new=False)


def commit_and_hang(*places: str) -> None:
    """Set an export COMPLETED, say so, and wait to be killed before anything is queued."""

    async def run() -> None:
        async with running(*places) as system:
            await ended_export(system)
            print("committed", flush=True)  # noqa: T201  # the signal
            signal.pause()

    asyncio.run(run())


def deliver(*places: str) -> None:
    """Run relay and worker, whose locks are short, until killed."""

    async def run() -> None:
        async with running(*places) as system:
            worker = system.app.worker({"webhook": 1}, lock="1s", stalled_interval="500ms")
            print("started", flush=True)  # noqa: T201  # the signal
            await system.run_worker(worker)

    asyncio.run(run())


PROGRAMS: dict[str, Callable[..., None]] = {
    function.__name__: function for function in (commit_and_hang, deliver)
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
