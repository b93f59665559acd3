"""Public keys from an issuer's JWKS URL: kept, and fetched again when they may have changed."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from oxcart._auth.jwt import KeysUnavailable, matching, public_keys

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from oxcart._auth.jwt import Key

    Fetch = Callable[[str], Awaitable[object]]

log = logging.getLogger("oxcart.http")

FRESH_SECONDS = 600.0
"""How long fetched keys are used without asking again."""
UNKNOWN_KEY_SECONDS = 60.0
"""How long after a fetch a token with an unknown key does not lead to another one."""
FAILED_SECONDS = 10.0
"""How long after a fetch that failed the next one waits."""
STALE_SECONDS = 3600.0
"""How long keys are used while the URL does not answer."""
FETCH_SECONDS = 5.0
MAX_DOCUMENT_BYTES = 262_144


class RemoteKeys:
    """The keys at a URL.

    Args:
        url: the URL of a JWK Set.
        fetch: fetches a JSON document.
        clock: returns seconds that only grow.
    """

    def __init__(
        self, url: str, fetch: Fetch | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._fetch = fetch or fetch_json
        self._clock = clock
        self._fetching = asyncio.Lock()
        self._keys: tuple[Key, ...] = ()
        self._fetched_at = -math.inf
        self._failed_at = -math.inf

    async def find(self, key_type: str, key_id: str | None) -> Sequence[Key]:
        """Return the keys of a type and id; see ``KeySource``.

        Raises:
            KeysUnavailable: the URL has not answered for too long.
        """
        # One request fetches; the others do not wait for it while there are keys to use.
        if self._age() >= FRESH_SECONDS and not self._can_do_without_fetch():
            await self._refresh(FRESH_SECONDS)
        found = matching(self._keys, key_type, key_id)
        if not found and self._age() >= UNKNOWN_KEY_SECONDS:
            await self._refresh(UNKNOWN_KEY_SECONDS)
            found = matching(self._keys, key_type, key_id)
        if not found and self._failed_at > self._fetched_at:
            raise KeysUnavailable  # the key may be a new one
        return found

    def _can_do_without_fetch(self) -> bool:
        return self._fetching.locked() and self._age() < STALE_SECONDS

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    async def _refresh(self, max_age: float) -> None:
        """Fetch the keys, unless that was done or tried meanwhile.

        Raises:
            KeysUnavailable: the URL has not answered for too long.
        """
        async with self._fetching:
            may_try = self._clock() - self._failed_at >= FAILED_SECONDS
            if self._age() >= max_age and may_try:
                await self._fetch_keys()
        if self._age() >= STALE_SECONDS:
            raise KeysUnavailable

    async def _fetch_keys(self) -> None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                keys = public_keys(await self._fetch(self._url))
        # Whatever is wrong with the document or the way to it, the keys that are there are used on.
        except Exception as error:  # noqa: BLE001
            self._failed_at = self._clock()
            fact = {"url": self._url, "cause": f"{type(error).__name__}: {error}"}
            log.warning("jwks.fetch_failed", extra=fact)
        else:
            self._keys, self._fetched_at = keys, self._clock()
            log.info("jwks.fetched", extra={"url": self._url, "key_count": len(keys)})


async def fetch_json(url: str) -> object:
    """Fetch a JSON document of bounded size; redirects are not followed.

    Raises:
        ValueError: the answer is not 200, too large or not JSON.
        httpx2.HTTPError: the URL cannot be reached.
    """
    import json

    import httpx2

    async with (
        httpx2.AsyncClient(timeout=FETCH_SECONDS, follow_redirects=False) as client,
        client.stream("GET", url, headers={"accept": "application/json"}) as answer,
    ):
        if answer.status_code != httpx2.codes.OK:
            raise ValueError(f"the answer has the status {answer.status_code}")
        content = bytearray()
        async for chunk in answer.aiter_bytes():
            content += chunk
            if len(content) > MAX_DOCUMENT_BYTES:
                raise ValueError(f"the answer has more than {MAX_DOCUMENT_BYTES} bytes")
    document: object = json.loads(content)
    return document
