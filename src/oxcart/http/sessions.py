"""Sessions of the site: the cookie that NextAuth set authenticates its user here too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oxcart._auth.cookies import parse_cookies, session_tokens
from oxcart._auth.identity import CredentialRejected, Identity
from oxcart._auth.nextauth import COOKIE_NAMES, SessionTokens, is_encrypted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from oxcart.settings import Settings


class SiteSessions:
    """Finds the user of a session cookie.

    Args:
        settings: the site's secrets, the cookies' names and the claim that holds the user's id.
    """

    def __init__(self, settings: Settings) -> None:
        self._names = settings.session_cookies or COOKIE_NAMES
        self._user_claim = settings.session_user_claim
        secrets = settings.session_secrets
        self._tokens = SessionTokens(secrets) if settings.accepts_sessions else None

    @property
    def is_enabled(self) -> bool:
        """Whether session cookies are accepted."""
        return self._tokens is not None

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
        if self._tokens is None or not is_encrypted(token):
            raise CredentialRejected("the session cookie does not hold an encrypted token")
        return self._identity(self._tokens.claims(token, name))

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
