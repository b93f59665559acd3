"""A server that runs out of file descriptors before its limit on connections.

Usage: few_descriptors.py asyncio|uvloop. Prints its URL; its log goes to standard error.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import sys

from starlette.responses import PlainTextResponse

from oxcart.http import serve

FILES = 64


async def main() -> None:
    """Take away most descriptors and serve."""
    app = PlainTextResponse("hello")
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(30)]
    await serve(app, "127.0.0.1", 0, ready=lambda url: print(url, flush=True))  # noqa: T201
    print(taken)  # noqa: T201  # held until here


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    if sys.argv[1] == "uvloop":
        import uvloop

        uvloop.run(main())
    else:
        asyncio.run(main())
