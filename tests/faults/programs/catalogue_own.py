"""A program of one's own that runs the catalogue's application with ``App.worker``.

Its only argument is a JSON object: the queues with their concurrency, options of the worker, and
the event loop (``uvloop`` or ``asyncio``).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from typing import Any

import uvloop
from tests.faults.programs import catalogue_app


async def main(queues: dict[str, int], options: dict[str, Any]) -> None:
    """Run the worker until SIGTERM or SIGINT."""
    async with catalogue_app.app as app:
        worker = app.worker(queues, **options)
        signals = 0

        def stop() -> None:
            nonlocal signals
            signals += 1
            worker.stop(force=signals > 1)

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        await worker.run()


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    logging.basicConfig(
        level=os.environ.get("TEST_LOG_LEVEL", "INFO"), format="%(asctime)s %(name)s %(message)s"
    )
    run = uvloop.run if given["loop"] == "uvloop" else asyncio.run
    run(main(given["queues"], given["options"]))
