"""Cookies of a request, and session tokens that are split over several of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote

MAX_CHUNKS = 32
"""A token of more chunks is larger than the headers that servers accept."""


def parse_cookies(headers: Iterable[str]) -> dict[str, str]:
    """Return the cookies of the ``Cookie`` headers by name.

    Of two cookies with one name the first counts: browsers send the one of the longest path first.
    """
    cookies: dict[str, str] = {}
    for header in headers:
        for pair in header.split(";"):
            name, separator, value = pair.strip().partition("=")
            if separator:
                cookies.setdefault(name.strip(), unquote(value.strip().strip('"')))
    return cookies


def session_tokens(cookies: Mapping[str, str], names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Find the session tokens, each with the name of its cookie.

    Browsers limit a cookie to about 4 kB. NextAuth splits a longer token over ``<name>.0``,
    ``<name>.1`` and so on; the numbers order the chunks, whatever their order in the header.

    Args:
        cookies: as ``parse_cookies`` returns them.
        names: the names that a session cookie may have, in the order in which they count.
    """
    for name in names:
        if cookies.get(name):
            yield name, cookies[name]
        chunks = []
        for number in range(MAX_CHUNKS):
            chunk = cookies.get(f"{name}.{number}")
            if chunk is None:
                break
            chunks.append(chunk)
        if chunks:
            yield name, "".join(chunks)
