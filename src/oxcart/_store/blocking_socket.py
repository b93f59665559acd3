"""Connections of blocking code whose sending may take as long as it makes progress.

The client gives each piece that it sends the whole time-out; here large commands are sent in small
pieces. When it reads, the client's time-out begins again with each chunk by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection

from oxcart._store.unsent import limit_unsent, seconds_under_way

if TYPE_CHECKING:
    _Base = Connection
else:
    _Base = object

PIECE = 16 * 1024
"""Bytes that are sent under one time-out."""


class _Patient(_Base):
    socket_timeout: float | None
    _spare_seconds = 0.0

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002  # the client's own signature
        """Send a command in pieces."""
        if not isinstance(command, str):
            size = sum(map(len, command))
            if size > PIECE:
                self._spare_seconds = seconds_under_way(size)
                command = _pieces(command)
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]

    def read_response(self, *args: Any, **options: Any) -> Any:
        """Read a reply; that to a large command may be under way for longer."""
        spare_seconds, self._spare_seconds = self._spare_seconds, 0.0
        if spare_seconds and self.socket_timeout is not None and "timeout" not in options:
            options["timeout"] = self.socket_timeout + spare_seconds
        return super().read_response(*args, **options)

    def _connect(self) -> Any:
        connection = super()._connect()  # type: ignore[no-untyped-call]
        limit_unsent(connection)
        return connection


class PatientConnection(_Patient, Connection):
    """Over TCP."""


class PatientSSLConnection(_Patient, SSLConnection):
    """Over TLS."""


class PatientUnixConnection(_Patient, UnixDomainSocketConnection):
    """Over a Unix domain socket."""


class PatientMasterConnection(_Patient, SentinelManagedConnection):
    """To the master that the Sentinels name."""


class PatientMasterSSLConnection(_Patient, SentinelManagedSSLConnection):
    """The same over TLS."""


def _pieces(command: Iterable[bytes]) -> Iterator[memoryview]:
    for item in command:
        whole = memoryview(item)
        for start in range(0, len(whole), PIECE):
            yield whole[start : start + PIECE]
