"""Slowing down clients that send wrong keys.

Each client address has a small budget of refused credentials, which fills up again with time. While
it is empty, every credential from that address is refused unread with 429, right or wrong, so that
a guess cannot be tried. Clients may share an address, behind a proxy for example, so two kinds of
credentials are exempt:

* one that was accepted from the address before is read all the same, until it is refused;
* one that was refused from the address before is not counted again: it is no new guess, but a
  program that still sends a key that was revoked.

The memory is bounded: addresses and credentials that were not used for longest are forgotten first.
Each process counts for itself.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from oxcart._auth.jwt import is_signed_token
from oxcart.http.problems import Kind, ProblemError

if TYPE_CHECKING:
    from starlette.requests import Request

log = logging.getLogger("oxcart.http")

BUDGET = 10
"""Refused credentials that an address may send at once."""
SECONDS_EACH = 6.0
"""How long it takes until it may send another one."""
MAX_ADDRESSES = 10_000
MAX_ACCEPTED = 10_000
MAX_REFUSED = 10_000
SHOWN_DIGITS = 8
_HEADERS = ("authorization", "x-api-key")
_IPV6_SITE = 64


class Guesses:
    """Counts the refused credentials of each client address.

    Args:
        monotonic: the clock.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._full_at: OrderedDict[str, float] = OrderedDict()
        """When the budget of an address is full again."""
        self._accepted: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._refused: OrderedDict[tuple[str, str], None] = OrderedDict()

    def check(self, request: Request) -> None:
        """Refuse a credential of an address whose budget is empty.

        Raises:
            ProblemError: 429, with the seconds until the next one is read.
        """
        credential = _guess_in(request)
        if credential is None:
            return
        site = _site(request)
        wait = self._seconds_to_wait(site)
        if wait <= 0 or (site, credential) in self._accepted:
            return
        raise ProblemError(
            Kind.TOO_MANY_GUESSES,
            "too many wrong credentials came from this address",
            retry_after=str(math.ceil(wait)),
        )

    def refused(self, request: Request) -> None:
        """Count a credential that was refused, and log it as a security event."""
        credential = _guess_in(request)
        if credential is None:
            return
        site = _site(request)
        self._accepted.pop((site, credential), None)
        if not self._is_repeated(site, credential):
            self._charge(site)
        fact = {
            "client": request.client.host if request.client else None,
            "key": credential[:SHOWN_DIGITS],
            "request_id": request.scope.get("oxcart.request_id"),
        }
        log.warning("auth.credential_refused", extra=fact)
        if self._seconds_to_wait(site) > 0:
            log.warning("auth.client_slowed", extra=fact)

    def accepted(self, request: Request) -> None:
        """Remember that a credential was accepted from its address."""
        credential = _guess_in(request)
        if credential is None:
            return
        known = (_site(request), credential)
        self._refused.pop(known, None)
        _remember(self._accepted, known, MAX_ACCEPTED)

    def _is_repeated(self, site: str, credential: str) -> bool:
        """Whether a refused credential was refused from its address before."""
        known = (site, credential)
        is_repeated = known in self._refused
        _remember(self._refused, known, MAX_REFUSED)
        return is_repeated

    def _charge(self, site: str) -> None:
        """Take one credential from the budget of an address."""
        now = self._monotonic()
        full_at = max(self._full_at.pop(site, now), now) + SECONDS_EACH
        # Requests that were under way together may be more than the budget holds.
        self._full_at[site] = min(full_at, now + BUDGET * SECONDS_EACH)
        if len(self._full_at) > MAX_ADDRESSES:
            self._full_at.popitem(last=False)

    def _seconds_to_wait(self, site: str) -> float:
        """How long until the budget of an address holds one credential."""
        missing = self._full_at.get(site, 0.0) - self._monotonic()
        return missing - (BUDGET - 1) * SECONDS_EACH


def _remember(known: OrderedDict[tuple[str, str], None], item: tuple[str, str], most: int) -> None:
    """Add an item, and forget the one that was not used for longest if there are too many."""
    known[item] = None
    known.move_to_end(item)
    if len(known) > most:
        known.popitem(last=False)


def _guess_in(request: Request) -> str | None:
    """The credential that counts, or None.

    A signed token does not: a signature cannot be guessed, and a client whose token has expired
    must not slow down the others of its address.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and is_signed_token(token) and "x-api-key" not in request.headers:
        return None
    return credential_of(request)


def credential_of(request: Request) -> str | None:
    """A digest of the credential in a request's headers, or None if there is none."""
    values = [value for name in _HEADERS for value in request.headers.getlist(name)]
    if not values:
        return None
    text = "\n".join(value.strip().removeprefix("Bearer ").strip() for value in values)
    return hashlib.sha256(b"oxcart\0" + text.encode("utf-8", "surrogatepass")).hexdigest()


def _site(request: Request) -> str:
    """The client's address; of an IPv6 address the network that one client usually has."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:  # noqa: PLR2004  # IPv4
        return host
    return str(ipaddress.ip_network((address, _IPV6_SITE), strict=False))
