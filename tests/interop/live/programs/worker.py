"""A worker process of oxcart, to be killed.

Its arguments: the queue, and the worker's options as JSON."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Any

from tests.interop.live.handlers import handle

from oxcart import Worker


async def main(queue: str, options: dict[str, Any]) -> None:
    """Run until killed."""
    await Worker(queue, handle, **options).run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(name)s %(message)s")
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
