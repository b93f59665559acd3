"""Defence against cross-site request forgery, for requests that a cookie authenticates.

A browser attaches cookies to requests that pages of other sites make. ``SameSite`` alone does not
stop them: it treats every host of a domain as one site, and a cookie may be set without it. So a
request that may change something must prove where it comes from, by headers that scripts of a page
cannot set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str | None:
    """Return the origin of a URL as browsers write it, or None if it has none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not host:
        return None
    shown = f"[{host}]" if ":" in host else host
    is_default = port is None or port == _DEFAULT_PORTS[parts.scheme]
    return f"{parts.scheme}://{shown}" if is_default else f"{parts.scheme}://{shown}:{port}"


class TrustedOrigins:
    """The origins whose pages may send requests that a cookie authenticates.

    Args:
        urls: URLs of the site and of this server; only their origins count.
    """

    def __init__(self, urls: Iterable[str]) -> None:
        self._origins = frozenset(origin for url in urls if (origin := origin_of(url)))

    def __contains__(self, url: str) -> bool:
        """Whether the origin of a URL is one of these."""
        return origin_of(url) in self._origins

    def allow(self, method: str, headers: Mapping[str, str]) -> bool:
        """Whether a request is safe, or comes from a page of a trusted origin.

        ``Sec-Fetch-Site: same-origin`` is enough: browsers alone set it. Otherwise ``Origin`` has
        to name a trusted origin, or where it is missing ``Referer``. A request without any of the
        three is refused.

        Args:
            method: the request's method.
            headers: the request's headers; looked up by names in lower case.
        """
        if method in SAFE_METHODS or headers.get("sec-fetch-site") == "same-origin":
            return True
        source = headers.get("origin", headers.get("referer"))
        return source is not None and source in self
