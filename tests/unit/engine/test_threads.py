"""Threads of plain handlers: interrupting them, and leaving the interpreter as it was."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import time
from contextlib import suppress

import pytest

from oxcart._engine.threads import HandlerThreads

WITHIN_S = 20

PROGRAM = textwrap.dedent("""
    import asyncio, sys, time
    from contextlib import suppress
    from oxcart._engine.threads import HandlerThreads

    def watch(function, observe):
        observe(lambda *_: None)
        try:
            return function()
        finally:
            observe(None)

    def spin():
        while True:
            time.sleep(0)

    async def main():
        threads = HandlerThreads(1)
        assert await threads.run(lambda: 7) == 7
        if "interrupted" in sys.argv:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await threads.run(spin)
        for observe in (sys.setprofile, sys.settrace):
            assert watch(lambda: sum(map(abs, range(9))), observe) == 36
            assert await threads.run(lambda: watch(lambda: 7, observe)) == 7

    asyncio.run(main())
    print("done")
""")


@pytest.mark.parametrize("how", ["plain", "interrupted"])
def test_profilers_and_tracers_work_after_a_handler_has_run(how: str) -> None:
    """CPython 3.11 never got on: a pending exception was cleared although there was none."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how],
        capture_output=True, text=True, timeout=WITHIN_S, check=False,
    )  # fmt: skip

    assert done.stdout == "done\n", done.stderr


async def test_interruption_that_comes_as_a_function_ends_does_not_hit_the_next_one() -> None:
    threads = HandlerThreads(1)
    threads._pool._limit = 1  # each run has the thread of the one before

    def work(seconds: float) -> str:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            pass
        return "done"

    for turn in range(200):
        # Around the moment of the end, before and after it.
        with suppress(TimeoutError):
            async with asyncio.timeout(0.001 + turn % 10 * 0.0001):
                await threads.run(lambda: work(0.001))
        assert await threads.run(lambda: work(0)) == "done"
    threads.close()
