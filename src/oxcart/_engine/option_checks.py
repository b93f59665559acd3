"""Checks of a worker's options, and of its name."""

from __future__ import annotations

import os
from typing import Literal

from oxcart._engine.queue_worker import BY_ATTEMPTS, WorkerOptions
from oxcart.errors import ConfigError

MaxStalled = int | Literal["attempts"] | None
VARIABLE = "OXCART_MAX_STALLED"
SHORTEST_MS = 100
"""Shorter locks run out between two heartbeats, shorter intervals only burn the server."""


def check_options(options: WorkerOptions) -> None:
    """Check the options of a worker that are numbers.

    Raises:
        ConfigError: one is too small.
    """
    at_least("stalled_interval", options.stalled_interval_ms)
    for name, least in (("metrics", 1), ("max_started_attempts", 1)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise ConfigError(f"{name} is {value}; it must be {least} or more")


def stalled_limit(given: MaxStalled) -> int:
    """How many deaths of its process a job is forgiven: as given, else the variable, else 1.

    Returns:
        The number, or ``BY_ATTEMPTS`` for ``"attempts"``: deaths use up the job's attempts.

    Raises:
        ConfigError: it is neither a whole number of 0 or more nor ``"attempts"``.
    """
    name, value = "max_stalled", given
    if value is None:
        name = VARIABLE
        text = os.environ.get(VARIABLE, "").strip() or "1"
        value = int(text) if text.isascii() and text.isdecimal() else text  # type: ignore[assignment]  # checked below
    if value == "attempts":
        return BY_ATTEMPTS
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(
            f"{name} is {value!r}; it must be a whole number of 0 or more, or 'attempts'"
        )
    return value


def at_least(name: str, milliseconds: int) -> int:
    """Return a duration in ms that is not too short.

    Raises:
        ConfigError: it is.
    """
    if milliseconds < SHORTEST_MS:
        raise ConfigError(f"{name} is {milliseconds} ms; it must be {SHORTEST_MS} ms or more")
    return milliseconds


def connection_safe(name: str) -> str:
    """Return a name as the server takes it for a connection: visible ASCII alone."""
    return "".join(char if "!" <= char <= "~" else "-" for char in name)
