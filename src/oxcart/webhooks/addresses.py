"""Which addresses webhooks may be sent to: a guard against server-side request forgery (SSRF).

Every address that a host name resolves to is checked, and the connection is made to a checked
address, so that a name server that changes its answer (DNS rebinding) cannot lead elsewhere.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Self

from oxcart.errors import ConfigError
from oxcart.webhooks.errors import AddressRefused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, Google, DigitalOcean, OpenStack
        "169.254.170.2",  # AWS, credentials of a task
        "169.254.170.23",  # AWS, credentials of a pod
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure, inside every virtual network though it is a public address
        "192.0.0.192",  # Oracle
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS, credentials of a pod
        "fd20:ce::254",  # Google
    )
)
"""Where clouds hand out credentials to whatever asks from inside: never allowed, not even by
``allowed``."""
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
_COMPATIBLE = ipaddress.ip_network("::/96")
_LAST_32_BITS = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPolicy:
    """What a webhook's URL may lead to.

    Attributes:
        hosts: names of internal hosts whose addresses may be private.
        networks: private networks that may be reached.
        is_development: plain http and loopback addresses are allowed too.
    """

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = field(default=())
    is_development: bool = False

    @classmethod
    def parse(cls, allowed: Iterable[str], *, is_development: bool = False) -> Self:
        """Read a list of host names, addresses and networks such as ``10.2.0.0/16``.

        Raises:
            ConfigError: an item is neither.
        """
        hosts: set[str] = set()
        networks: list[Network] = []
        for item in allowed:
            try:
                networks.append(ipaddress.ip_network(item.strip("[]"), strict=False))
            except ValueError:
                if "/" in item or ":" in item or not item.isprintable() or " " in item:
                    raise ConfigError(
                        f"{item!r} is not a host name, an address or a network such as 10.2.0.0/16"
                    ) from None
                hosts.add(plain_host(item))
        return cls(hosts=frozenset(hosts), networks=tuple(networks), is_development=is_development)

    def is_listed(self, host: str) -> bool:
        """Whether a host is on the list of internal hosts, by its name or its address."""
        if plain_host(host) in self.hosts:
            return True
        try:
            address = ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return False
        return self._is_in_networks(address)

    def check(self, host: str, addresses: Iterable[Address]) -> None:
        """Accept the addresses of a host; one that is not allowed refuses the host.

        Raises:
            AddressRefused: with the kind of the address, or because there is none.
        """
        is_empty = True
        for address in addresses:
            is_empty = False
            reason = self._reason(host, address)
            if reason is not None:
                raise AddressRefused(host, reason)
        if is_empty:
            raise AddressRefused(host, "it has no address")

    def _reason(self, host: str, address: Address) -> str | None:
        inner = embedded(address)
        if address in _METADATA or inner in _METADATA:
            return f"{address} is the metadata service of a cloud"
        reason = kind_of(inner) or (None if inner == address else kind_of(address))
        if reason is None:
            return None
        if reason == "loopback" and self.is_development:
            return None
        is_listed = plain_host(host) in self.hosts or self._is_in_networks(inner)
        if is_listed and reason in ("private", "loopback"):
            return None
        return f"{address} is a {reason} address"

    def _is_in_networks(self, address: Address) -> bool:
        return any(
            address.version == network.version and address in network for network in self.networks
        )


def plain_host(host: str) -> str:
    """Return a host name in the form in which names are compared."""
    return host.strip("[]").rstrip(".").lower()


def kind_of(address: Address) -> str | None:
    """Name the kind of an address; ``None`` for a public address of one host."""
    is_site_local = isinstance(address, IPv6Address) and address.is_site_local
    kinds = {
        "unspecified": address.is_unspecified,
        "loopback": address.is_loopback,
        "link-local": address.is_link_local,
        "multicast": address.is_multicast,
        "private": is_site_local,
        "reserved": address.is_reserved,
    }
    found = next((kind for kind, is_it in kinds.items() if is_it), None)
    return found or (None if address.is_global else "private")


def embedded(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself.

    Mapped (``::ffff:a.b.c.d``), compatible (``::a.b.c.d``), 6to4, Teredo and NAT64 addresses.
    """
    if isinstance(address, IPv4Address):
        return address
    number = int(address)
    holds_it_last = any(address in network for network in _NAT64) or (
        address in _COMPATIBLE and number > 1
    )
    inner = (
        address.ipv4_mapped
        or address.sixtofour
        or (address.teredo[1] if address.teredo else None)
        or (IPv4Address(number & _LAST_32_BITS) if holds_it_last else None)
    )
    return address if inner is None else inner
