"""Sessions of the site: the cookie that NextAuth set authenticates its user here too.

The cookie holds an encrypted token (strategy ``jwt``), or the key of a row of the table ``Session``
(strategy ``database``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from oxcart._auth.cookies import parse_cookies, session_tokens
from oxcart._auth.identity import CredentialRejected, Identity
from oxcart._auth.nextauth import COOKIE_NAMES, SessionTokens, is_encrypted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from oxcart.database.site_sessions import StoredSession
    from oxcart.settings import Settings


class SessionStore(Protocol):
    """The part of ``oxcart.database.site_sessions.StoredSessions`` that is used here."""

    async def get(self, token: str) -> StoredSession | None:
        """Find a session by the token in its cookie."""
        ...


class SiteSessions:
    """Finds the user of a session cookie.

    Args:
        settings: the site's secrets, the cookies' names and the claim that holds the user's id.
        store: the sessions in the database; None: only encrypted tokens are accepted.
    """

    def __init__(self, settings: Settings, store: SessionStore | None = None) -> None:
        self._names = settings.session_cookies or COOKIE_NAMES
        self._user_claim = settings.session_user_claim
        self._is_enabled = settings.accepts_sessions
        secrets = settings.session_secrets if settings.sessions in ("auto", "jwt") else ()
        self._tokens = SessionTokens(secrets) if secrets else None
        self._store = store if settings.sessions in ("auto", "database") else None

    @property
    def is_enabled(self) -> bool:
        """Whether session cookies are accepted."""
        return self._is_enabled

    async def identify(self, request: Request) -> Identity | None:
        """Return the user of the request's session cookie, or None if it has no such cookie.

        Raises:
            CredentialRejected: there is a session cookie, and none is valid.
        """
        if not self.is_enabled:
            return None
        cookies = parse_cookies(request.headers.getlist("cookie"))
        rejected: CredentialRejected | None = None
        for name, token in session_tokens(cookies, self._names):
            try:
                return await self._identify(name, token)
            except CredentialRejected as error:
                rejected = rejected or error
        if rejected is not None:
            raise rejected
        return None

    async def _identify(self, name: str, token: str) -> Identity:
        if is_encrypted(token):
            if self._tokens is None:
                raise CredentialRejected("the session cookie holds a token, not a database session")
            return self._identity(self._tokens.claims(token, name))
        if self._store is None:
            raise CredentialRejected("the session cookie does not hold an encrypted token")
        session = await self._store.get(token)
        if session is None:
            raise CredentialRejected("the session does not exist, or was ended: log in again")
        if session.expires_at <= datetime.now(UTC):
            raise CredentialRejected("the session has expired: log in again")
        return Identity(user_id=session.user_id)

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        value, email = claims.get(self._user_claim), claims.get("email")
        if self._user_claim == "email":
            value = None
        if isinstance(value, str) and value:
            return Identity(user_id=value)
        if value is None and isinstance(email, str) and email:
            return Identity(email=email)
        raise CredentialRejected(
            f"the session token has neither the claim {self._user_claim!r} nor 'email'"
        )
