"""Recognises requests that a program on this machine sent directly.

The default user of development is only for those. A proxy on the same machine, a page of another
origin in a browser, and a DNS name that was rebound to 127.0.0.1 all connect from loopback too, so
the peer's address alone proves nothing. All of this must hold:

* the peer's address is loopback and not that of a trusted proxy;
* the request is HTTP/1.1: a proxy that was given nothing but an address often sends 1.0;
* there is one ``Host``: ``localhost`` or a loopback address, with an optional port;
* no header is there that proxies, load balancers and CDNs add, whatever its value;
* ``Origin`` and ``Sec-Fetch-Site`` are those of the API's own pages, or absent.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from oxcart.http.proxies import IS_PROXIED

if TYPE_CHECKING:
    from starlette.requests import Request

_HOST = re.compile(r"(\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[0-9A-Za-z.-]+))(:[0-9]{1,5})?")
_FORWARDING_NAMES = frozenset(
    {
        "via", "x-via", "remote-addr", "cdn-loop", "max-forwards", "front-end-https", "x-host",
        "x-scheme", "x-url-scheme", "x-proto", "x-ssl", "x-https", "x-rewrite-url", "x-varnish",
        "x-http-host-override", "x-akamai-edgescape", "x-cloud-trace-context",
    }
)  # fmt: skip
_FORWARDING_PARTS = ("forwarded", "proxy", "clientip", "client-ip", "connecting-ip")
_FORWARDING_PREFIXES = (
    "x-forward", "x-original-", "x-real-", "x-remote-", "x-client-", "x-cluster-", "x-nginx-",
    "x-traefik-", "x-envoy-", "x-arr-", "x-azure-", "x-amz-cf-", "x-amzn-", "x-appengine-",
    "x-vercel-", "x-ssl-", "ssl-client-", "true-client-", "cf-", "cloudfront-", "fastly-", "fly-",
    "incap-", "ali-cdn-",
)  # fmt: skip
_FORWARDING_SUFFIXES = ("-ip", "-remote-addr")


def is_local(request: Request) -> bool:
    """Return whether a program on this machine sent the request, not a proxy or a foreign page."""
    hosts = request.headers.getlist("host")
    return (
        IS_PROXIED not in request.scope
        and request.client is not None
        and is_loopback_address(request.client.host)
        and request.scope.get("http_version") == "1.1"
        and len(hosts) == 1
        and is_loopback_host(hosts[0])
        and not any(is_forwarding_header(name) for name in request.headers)
        and request.headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        and request.headers.get("origin") in (None, f"{request.scope['scheme']}://{hosts[0]}")
    )


def is_forwarding_header(name: str) -> bool:
    """Return whether proxies add a header of this name.

    Args:
        name: the header's name in lower case.
    """
    return (
        name in _FORWARDING_NAMES
        or any(part in name for part in _FORWARDING_PARTS)
        or name.startswith(_FORWARDING_PREFIXES)
        or name.endswith(_FORWARDING_SUFFIXES)
    )


def is_loopback_host(host: str) -> bool:
    """Return whether the value of a ``Host`` header is ``localhost`` or a loopback address."""
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    if found["ipv6"] is not None:
        return ":" in found["ipv6"] and is_loopback_address(found["ipv6"])
    return found["name"].lower() == "localhost" or is_loopback_address(found["name"])


def is_loopback_address(text: str) -> bool:
    """Return whether the text is a loopback address, also one of IPv4 mapped into IPv6."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
