"""Data that was sent and has not reached the server yet.

Without one the system takes megabytes at once, and nothing shows for as long as they need to leave
over a thin line: a sender that makes progress looks like one whose server is silent.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

MOST_UNSENT_IN_SYSTEM = 512 * 1024
"""How many bytes that were not sent yet a connection keeps in the system."""


SLOWEST_BYTES_PER_S = 500_000
MOST_UNDER_WAY = 16 * 1024 * 1024
"""How many bytes the devices on the way may hold."""


def seconds_under_way(size: int) -> float:
    """Return for how much longer the reply to a command may be waited for because of its size.

    Args:
        size: of the command, in bytes.
    """
    return min(size, MOST_UNDER_WAY) / SLOWEST_BYTES_PER_S


def limit_unsent(connection: Any) -> None:
    """Set the limit for a connection, where the system knows such a limit.

    Args:
        connection: its socket; those that are not of TCP are left as they are.
    """
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None:
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, option, MOST_UNSENT_IN_SYSTEM)
