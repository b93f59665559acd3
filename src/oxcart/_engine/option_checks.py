"""Checks of a worker's options, and of its name."""

from __future__ import annotations

from oxcart._engine.queue_worker import WorkerOptions
from oxcart.errors import ConfigError

SHORTEST_MS = 100
"""Shorter locks run out between two heartbeats, shorter intervals only burn the server."""


def check_options(options: WorkerOptions) -> None:
    """Check the options of a worker that are numbers.

    Raises:
        ConfigError: one is too small.
    """
    at_least("stalled_interval", options.stalled_interval_ms)
    for name, least in (("max_stalled", 0), ("metrics", 1), ("max_started_attempts", 1)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise ConfigError(f"{name} is {value}; it must be {least} or more")


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
