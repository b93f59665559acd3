"""Which proxies are believed when they say where a request came from.

A request that arrives from a trusted address takes its client from ``X-Forwarded-For``: the last
address there that is not a trusted proxy itself, because every address before it may be the
client's invention. Scheme and host come from the last value of ``X-Forwarded-Proto`` and
``X-Forwarded-Host``. From any other address these headers change nothing.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from oxcart._settings.networks import Address, Network, read_network

if TYPE_CHECKING:
    from starlette.types import Scope

IS_PROXIED = "oxcart.is_proxied"
"""In the scope of a request that came from a trusted proxy."""
MAX_HOPS = 32
_HOST = re.compile(rb"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?\Z")
_SCHEMES = {b"http": "http", b"https": "https"}


class TrustedProxies:
    """Takes client, scheme and host from the headers of trusted proxies.

    Args:
        networks: addresses and networks, such as ``10.0.0.7`` and ``10.1.0.0/16``.

    Raises:
        ValueError: one is neither.
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks: tuple[Network, ...] = tuple(read_network(text) for text in networks)

    def apply(self, scope: Scope) -> None:
        """Rewrite the scope of a request that came from a trusted proxy."""
        client = scope.get("client")
        if not self._networks or client is None or not self._trusts(read_address(client[0])):
            return
        scope[IS_PROXIED] = True
        scope["client"] = (self._client(scope, client[0]), 0)
        scheme = _SCHEMES.get(_last(scope, b"x-forwarded-proto").lower())
        if scheme is not None:
            scope["scheme"] = scheme
        host = _last(scope, b"x-forwarded-host")
        if _HOST.match(host):
            kept = [(name, value) for name, value in scope["headers"] if name != b"host"]
            scope["headers"] = [(b"host", host), *kept]

    def _client(self, scope: Scope, peer: str) -> str:
        """The last address that is not a trusted proxy; the first one if all are."""
        found = peer
        for value in reversed(_values(scope, b"x-forwarded-for")[-MAX_HOPS:]):
            address = read_address(value.decode("latin-1"))
            if address is None:
                break  # the proxy before it is the last that is known
            found = str(address)
            if not self._trusts(address):
                break
        return found

    def _trusts(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


def read_address(text: str) -> Address | None:
    """Read an IP address, which may have a port, brackets, or an IPv4 address inside IPv6."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _values(scope: Scope, name: bytes) -> list[bytes]:
    """The values of a header that is a list, over all its lines, in order."""
    lines = [value for given, value in scope["headers"] if given == name]
    return [part.strip() for line in lines for part in line.split(b",")]


def _last(scope: Scope, name: bytes) -> bytes:
    values = _values(scope, name)
    return values[-1] if values else b""
