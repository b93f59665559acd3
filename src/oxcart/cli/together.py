"""``oxcart all``: the API and a worker in one container, as two processes."""

from __future__ import annotations

import asyncio
import logging
import os
import signal

from oxcart.cli.children import Children
from oxcart.cli.programs import on_stop_signals, start_program
from oxcart.cli.pulse import pulsing
from oxcart.cli.reaper import reaping

log = logging.getLogger("oxcart.cli")

STOPPED = {0, -signal.SIGTERM, 128 + signal.SIGTERM, -signal.SIGINT, 128 + signal.SIGINT}
"""Exit codes of a program that stopped when told to; all but the first, before it had begun."""
MARGIN_S = 12
"""How much longer than their grace the programs may take before they are killed."""


async def run_all() -> int:
    """Run API and worker until a signal, which both are given; so is each further signal.

    Returns:
        The exit code: 0 when both ended as told; 1 if one ended by itself, which ends the other,
        or did not end well.
    """
    settings = start_program("all")
    stop = asyncio.Event()
    async with (
        pulsing("all", settings) as pulse,
        Children(stop_s=settings.grace_seconds + MARGIN_S) as children,
        reaping(children),
    ):

        def on_signal() -> None:
            if stop.is_set():
                children.terminate(signal.SIGINT)  # in a hurry; SIGTERM again would count once
            else:
                pulse.stopping("waiting for API and worker to end")
                stop.set()

        on_stop_signals(on_signal)
        for program in ("worker", "api"):
            await children.start(program, program, environ=os.environ)
        pulse.ready("running API and worker")
        ended = await children.first_to_end_before(stop)
        if ended is not None:
            log.error("program.ended_by_itself", extra={"program": ended[0], "code": ended[1]})
        codes = await children.stop()
        return 0 if ended is None and STOPPED.issuperset(codes.values()) else 1
