"""Waiting for what only an awaited call can tell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def wait_for(
    read: Callable[[], Awaitable[T]],
    accept: Callable[[T], object],
    *,
    within: float = 30,
    what: str,
) -> T:
    """Read until the value is accepted, and give it; fail with a sentence when it never is."""
    deadline = time.monotonic() + within
    while not accept(value := await read()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within} s for {what}; the last answer was {value!r}")
        await asyncio.sleep(0.01)
    return value
