"""Ending with the program that started this one, however that ended.

The parent keeps the write end of a pipe; when it is gone, by whatever way, the read end says so.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

VARIABLE = "OXCART_LIFELINE_FD"


def has_parent() -> bool:
    """Whether another program of this command has started this one; until ``watch_parent``."""
    return bool(os.environ.get(VARIABLE))


def watch_parent(on_end: Callable[[], None]) -> None:
    """Call back when the parent that gave a lifeline has ended; without one, do nothing."""
    # Taken out: what this program starts has parents of its own.
    number = os.environ.pop(VARIABLE, None)
    if not number:
        return
    loop = asyncio.get_running_loop()
    fd = int(number)

    def ended() -> None:
        loop.remove_reader(fd)
        on_end()

    loop.add_reader(fd, ended)
