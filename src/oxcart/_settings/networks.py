"""Addresses, networks and origins in settings."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from oxcart._settings.values import Problem

if TYPE_CHECKING:
    from oxcart.settings import Settings

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


def read_network(text: str) -> Network:
    """Read an address or a network.

    Raises:
        ValueError: it is neither, or has bits set behind its prefix.
    """
    return ipaddress.ip_network(text)


def is_origin(text: str) -> bool:
    """Whether a text is one exact origin, as browsers send it: ``https://club.example``."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not parts.hostname or "*" in text:
        return False
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    is_default = port == {"http": 80, "https": 443}[parts.scheme]
    return (
        text == f"{parts.scheme}://{host}" + ("" if port is None else f":{port}") and not is_default
    )


def edge_problems(settings: Settings) -> Iterator[Problem]:
    """Proxies and origins that cannot be read."""
    for text in settings.trusted_proxies:
        try:
            read_network(text)
        except ValueError as error:
            yield Problem(
                "OXCART_TRUSTED_PROXIES",
                f"has {text!r}: {error}; expected addresses and networks as 10.0.0.7,10.1.0.0/16",
            )
    for origin in settings.cors_origins:
        if not is_origin(origin):
            yield Problem(
                "OXCART_CORS_ORIGINS",
                f"has {origin!r}: expected exact origins as https://club.example, without a path, "
                "a default port or a wildcard",
            )
