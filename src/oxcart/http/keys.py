"""API keys: those of the environment, and those that ``oxcart keys`` made."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from oxcart._auth.api_keys import Scope, hash_key, id_of
from oxcart._auth.identity import CredentialRejected
from oxcart.database.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxcart.database.api_keys import ApiKey
    from oxcart.settings import Settings

TRUST_SECONDS = 300
"""How long a key that was valid is accepted while the database does not answer."""
USE_SECONDS = 60
"""How often the use of a key is recorded."""
MAX_REMEMBERED = 1000
_NO_HASH = "0" * 64


class KeyStore(Protocol):
    """The part of ``oxcart.database.api_keys.ApiKeys`` that is used here."""

    async def get(self, key_id: str) -> ApiKey | None:
        """Find a key by its id."""
        ...

    async def record_use(self, key_id: str) -> None:
        """Note that a key is used now."""
        ...


class KeyRing:
    """Finds the scopes of a key.

    Args:
        settings: the keys of the environment.
        store: the keys in the database; None: only those of the environment are valid.
        clock: returns seconds that only grow.
    """

    def __init__(
        self,
        settings: Settings,
        store: KeyStore | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._clock = clock
        self._of_environment = [
            *((_digest(key), Scope.OPERATOR) for key in settings.operator_keys),
            *((_digest(key), Scope.SERVICE) for key in settings.service_keys),
        ]
        self._seen: OrderedDict[str, tuple[ApiKey, float]] = OrderedDict()
        self._recorded: dict[str, float] = {}

    async def scopes_of(self, text: str) -> frozenset[Scope]:
        """Return what a key may do.

        Raises:
            CredentialRejected: the key is wrong, revoked or expired.
            DatabaseUnavailable: the database does not answer, and the key was not seen lately.
        """
        found = self._scope_in_environment(text)
        if found is not None:
            return frozenset({found})
        key_id = id_of(text)
        if key_id is None or self._store is None:
            raise CredentialRejected("the API key is wrong")
        return await self._stored(self._store, key_id, hash_key(text))

    def has_in_environment(self, text: str) -> bool:
        """Whether a key is one of the environment's."""
        return self._scope_in_environment(text) is not None

    def _scope_in_environment(self, text: str) -> Scope | None:
        digest = _digest(text)
        found: Scope | None = None
        # All are compared, so that the time does not depend on the position of the right one.
        for known, scope in self._of_environment:
            if hmac.compare_digest(known, digest):
                found = scope
        return found

    async def _stored(self, store: KeyStore, key_id: str, hashed: str) -> frozenset[Scope]:
        try:
            key = await store.get(key_id)
        except DatabaseUnavailable:
            key = self._remembered(hashed)
            if key is None:
                raise
        else:
            self._seen.pop(hashed, None)
            # Compared for an unknown id too, so that the time does not reveal which ids exist.
            if not hmac.compare_digest(key.hash if key else _NO_HASH, hashed) or key is None:
                raise CredentialRejected("the API key is wrong")
            if key.revoked_at is not None:
                raise CredentialRejected("the API key was revoked")
            self._remember(hashed, key)
        if key.has_expired(datetime.now(UTC)):
            raise CredentialRejected("the API key has expired")
        await self._record_use(store, key_id)
        return key.scopes

    def _remembered(self, hashed: str) -> ApiKey | None:
        key, seen_at = self._seen.get(hashed, (None, 0.0))
        return key if self._clock() - seen_at < TRUST_SECONDS else None

    def _remember(self, hashed: str, key: ApiKey) -> None:
        self._seen[hashed] = (key, self._clock())
        if len(self._seen) > MAX_REMEMBERED:
            self._seen.popitem(last=False)

    async def _record_use(self, store: KeyStore, key_id: str) -> None:
        last = self._recorded.get(key_id)
        if last is None or self._clock() - last >= USE_SECONDS:
            if len(self._recorded) >= MAX_REMEMBERED:
                self._recorded.clear()
            self._recorded[key_id] = self._clock()
            await store.record_use(key_id)


def _digest(key: str) -> bytes:
    # Digests have one length, so that comparing them does not reveal how long a key is.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
