"""A worker process of one of two versions of an application; it writes down what it runs.

Its only argument is a JSON object: ``url``, ``prefix``, ``generation`` and ``ledger``.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

import oxcart


class Ledger:
    """Appends whole lines to a file that all processes share."""

    def __init__(self, path: str, generation: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._generation = generation

    def write(self, kind: str, n: int) -> None:
        line = json.dumps({"generation": self._generation, "kind": kind, "n": n})
        os.write(self._file, line.encode() + b"\n")


def application(url: str, prefix: str, generation: str, ledger: Ledger) -> oxcart.App:
    """The application as it is in this version."""
    app = oxcart.App(url, prefix=prefix, build=generation)

    @app.job(queue="q")
    async def kept(n: int) -> None:
        await asyncio.sleep(0.005)
        ledger.write("kept", n)

    if generation == "old":

        @app.job("changed", queue="q")
        async def changed_before(n: int) -> None:
            ledger.write("changed", n)

        return app

    @app.job("changed", queue="q")
    async def changed_after(n: int, extra: str = "") -> None:
        ledger.write("changed with extra" if extra else "changed", n)

    @app.job(queue="q")
    async def added(n: int) -> None:
        ledger.write("added", n)

    return app


async def main(url: str, prefix: str, generation: str, ledger: str) -> None:
    async with application(url, prefix, generation, Ledger(ledger, generation)) as app:
        worker = app.worker({"q": 5})
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
        await worker.run()


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
