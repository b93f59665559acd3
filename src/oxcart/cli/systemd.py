"""systemd's protocol for services: datagrams that say what became of the program.

See ``sd_notify(3)``. The protocol is one datagram of ``NAME=value`` lines; the libraries for it
have had no release for years or need systemd's headers, so it is spoken here.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import MutableMapping
from typing import Self

log = logging.getLogger("oxcart.cli")

SEND_S = 1.0
"""How long systemd may take to have room for a datagram."""
_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Notifier:
    """Tells systemd about this program; outside of ``Type=notify`` it does nothing.

    Args:
        address: the socket, as in ``NOTIFY_SOCKET``; ``@`` begins an abstract one.
        watchdog_s: how long systemd waits for a sign of life, if it does.
    """

    def __init__(self, address: str | None = None, watchdog_s: float | None = None) -> None:
        self._address = address
        self.watchdog_s = watchdog_s

    @classmethod
    def take_from(cls, environ: MutableMapping[str, str]) -> Self:
        """Read what systemd says, and remove it, so that no child program speaks for this one."""
        address, usec, pid = (environ.pop(name, "") for name in _VARIABLES)
        is_watched = usec.isdigit() and int(usec) > 0 and pid in ("", str(os.getpid()))
        return cls(address or None, int(usec) / 1_000_000 if is_watched else None)

    def tell(self, **facts: str) -> None:
        """Send facts such as ``READY="1"``. A failure is logged: the program is to go on."""
        if self._address is None:
            return
        text = "\n".join(f"{name}={value}" for name, value in facts.items())
        path = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(SEND_S)
                sender.sendto(text.encode(), path)
        except OSError as error:
            log.warning("systemd.not_told", extra={"facts": text, "reason": str(error)})
