"""Who is calling.

* An *operator* key sees and does everything.
* A key with other scopes does what they say, such as reading the figures for monitors.
* A *service* key acts for the user that ``X-Oxcart-User`` names; the user must exist. An operator
  key may name a user too, and then asks for that user's exports.
* In development a request without a key acts for the sample data's administrator, if it comes from
  a program on this machine (``local_requests``) and the settings allow it
  (``_settings.default_user``).
* A JSON Web Token of an issuer in the settings acts for the user that it was made for.
* A session cookie of the site acts for its user. A request of a cookie that may change something
  must come from a page of a trusted origin (``oxcart._auth.origins``).

A key or a cookie that is wrong is refused, it never falls back to another method.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from oxcart._auth.api_keys import Scope
from oxcart._auth.identity import CredentialRejected
from oxcart._auth.jwt import KeysUnavailable, is_signed_token
from oxcart._auth.origins import TrustedOrigins
from oxcart._settings.default_user import why_no_default_user
from oxcart._settings.rules import key_problems
from oxcart._settings.values import refusal
from oxcart.http.body import is_storable
from oxcart.http.hooks import ask_hook, load_hook, user_of_proxy
from oxcart.http.keys import KeyRing
from oxcart.http.local_requests import is_local
from oxcart.http.problems import Kind, ProblemError
from oxcart.http.sessions import SiteSessions
from oxcart.http.tokens import open_verifier

if TYPE_CHECKING:
    from starlette.requests import Request

    from oxcart._auth.identity import Identity
    from oxcart._auth.jwt import TokenVerifier
    from oxcart.database.users import User
    from oxcart.http.hooks import Hook
    from oxcart.http.keys import KeyStore
    from oxcart.http.sessions import SessionStore
    from oxcart.settings import Settings

log = logging.getLogger("oxcart.http")

USER_HEADER = "x-oxcart-user"
MAX_USER_ID_CHARS = 200
MAX_SHOWN_ORIGIN_CHARS = 200
_CROSS_SITE = (
    "a session cookie changes something only for a page of this site: the request has no "
    "Sec-Fetch-Site: same-origin, and its Origin is missing or not trusted (OXCART_TRUSTED_ORIGINS)"
)


class Role(StrEnum):
    """What a caller may do."""

    OPERATOR = "operator"
    """Everything. By a key."""
    SERVICE = "service"
    """Act for any user. By a key."""
    SCOPED_KEY = "scoped-key"
    """Only what the scopes of a key say, which includes no user."""
    USER = "user"
    """Act for one user. By a session of the site, a token, a trusted proxy or a hook."""
    DEFAULT_USER = "default-user"
    """Act for the sample data's first user. By being on this machine, in development."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who is calling: the role, the user acted for, if any, and the scopes of the key."""

    role: Role
    user: User | None = None
    scopes: frozenset[Scope] = frozenset()

    @property
    def is_operator(self) -> bool:
        """Whether the caller may see and do everything."""
        return self.role is Role.OPERATOR

    @property
    def has_key(self) -> bool:
        """Whether the caller has shown a key, rather than acting as a user."""
        return self.role in (Role.OPERATOR, Role.SERVICE, Role.SCOPED_KEY)

    def may(self, scope: Scope) -> bool:
        """Whether the caller's key has a scope, or the one that includes all."""
        return self.is_operator or scope in self.scopes


class UserDirectory(Protocol):
    """What authentication needs of ``oxcart.database.users.Users``."""

    async def get(self, user_id: str) -> User | None:
        """Find a user by id."""
        ...

    async def find_by_email(self, email: str) -> User | None:
        """Find a user by e-mail address."""
        ...

    async def default_user(self) -> User | None:
        """Find the sample data's administrator."""
        ...


class Authenticator:
    """Finds out who is calling.

    Args:
        settings: the keys and the environment.
        users: where users are looked up.
        sessions: where the site keeps sessions in its database.
        keys: the keys that ``oxcart keys`` made.
        hook: the application's own method, asked before all others; default: the settings'.

    Raises:
        ConfigError: production without a key or with one that is too short; a key in both roles.
    """

    def __init__(
        self,
        settings: Settings,
        users: UserDirectory,
        *,
        sessions: SessionStore | None = None,
        keys: KeyStore | None = None,
        hook: Hook | None = None,
    ) -> None:
        problems = tuple(key_problems(settings))
        if problems:
            raise refusal(problems)
        self._users = users
        self._why_no_default_user = why_no_default_user(settings)
        self._sessions = SiteSessions(settings, sessions)
        self._origins = TrustedOrigins(
            (
                settings.app_url,
                settings.base_url,
                *settings.trusted_origins,
                *settings.cors_origins,
            )
        )
        self._is_development = settings.env == "development"
        self._keys = KeyRing(settings, keys)
        self._tokens = open_verifier(settings)
        named = None if settings.auth_hook is None else load_hook(settings.auth_hook)
        self._hook = hook or named
        self._proxy_header = settings.proxy_user_header

    async def authenticate(self, request: Request) -> Caller:
        """Return the caller.

        Raises:
            ProblemError: 401, without a hint at which part of a key was wrong; 403 for a request of
                another site's page.
        """
        try:
            return await self._authenticate(request)
        except CredentialRejected as error:
            fact = {"request_id": request.scope.get("oxcart.request_id"), "reason": str(error)}
            log.info("http.credential_rejected", extra=fact)
            raise self._unauthenticated(str(error)) from error

    async def _authenticate(self, request: Request) -> Caller:
        identity = None if self._hook is None else await ask_hook(self._hook, request)
        if identity is not None:
            return await self._user_caller(request, identity)
        key = _presented_key(request)
        if key is not None:
            if self._tokens is not None and self._is_token(key):
                return await self._token_caller(request, self._tokens, key)
            return await self._key_caller(request, await self._keys.scopes_of(key))
        if self._proxy_header is not None:
            identity = user_of_proxy(request, self._proxy_header)
            if identity is not None:
                return await self._user_caller(request, identity)
        if USER_HEADER in request.headers:
            raise self._unauthenticated("X-Oxcart-User needs a key beside it")
        identity = await self._sessions.identify(request)
        if identity is not None:
            return await self._user_caller(request, identity)
        if self._is_development and is_local(request):
            if self._why_no_default_user is not None:
                raise self._unauthenticated(
                    f"the request carries no credential, and {self._why_no_default_user}"
                )
            return Caller(role=Role.DEFAULT_USER, user=await self._users.default_user())
        raise self._unauthenticated("the request carries no credential")

    def _is_token(self, text: str) -> bool:
        # A key of the environment may have any form.
        return is_signed_token(text) and not self._keys.has_in_environment(text)

    async def _token_caller(self, request: Request, tokens: TokenVerifier, text: str) -> Caller:
        if USER_HEADER in request.headers:
            raise ProblemError(Kind.FORBIDDEN, "a token acts for its own user: omit X-Oxcart-User")
        try:
            identity = await tokens.identify(text)
        except KeysUnavailable as error:
            raise ProblemError(
                Kind.KEYS_UNAVAILABLE,
                "the issuer's keys cannot be fetched, so no token can be checked",
                retry_after="10",
            ) from error
        return await self._user_caller(request, identity)

    async def _key_caller(self, request: Request, scopes: frozenset[Scope]) -> Caller:
        role = _role_of(scopes)
        if role is Role.SCOPED_KEY and USER_HEADER in request.headers:
            raise ProblemError(
                Kind.FORBIDDEN, f"X-Oxcart-User needs a key with the scope {Scope.SERVICE.value!r}"
            )
        return Caller(role=role, user=await self._named_user(request), scopes=scopes)

    async def _user_caller(self, request: Request, identity: Identity) -> Caller:
        if identity.is_from_cookie and not self._origins.allow(request.method, request.headers):
            fact = {
                "request_id": request.scope.get("oxcart.request_id"),
                "origin": request.headers.get("origin", "")[:MAX_SHOWN_ORIGIN_CHARS],
            }
            log.warning("http.cross_site_refused", extra=fact)
            raise ProblemError(Kind.CROSS_SITE, _CROSS_SITE)
        user = await self._find_user(identity)
        if user is None:
            raise CredentialRejected("the user does not exist any more")
        if user.is_suspended(datetime.now(UTC)):
            raise CredentialRejected("the user is suspended")
        return Caller(role=Role.USER, user=user)

    async def _find_user(self, identity: Identity) -> User | None:
        if identity.user_id is not None:
            if len(identity.user_id) > MAX_USER_ID_CHARS:
                return None
            return await self._users.get(identity.user_id)
        return None if identity.email is None else await self._users.find_by_email(identity.email)

    def _unauthenticated(self, detail: str) -> ProblemError:
        accepted = ["an API key as Authorization: Bearer <key> or X-API-Key: <key>"]
        if self._tokens is not None:
            accepted.append("a JSON Web Token as Authorization: Bearer <token>")
        if self._sessions.is_enabled:
            accepted.append("the site's session cookie")
        if self._proxy_header is not None:
            accepted.append(f"{self._proxy_header} from a trusted proxy")
        if self._hook is not None:
            accepted.append("what the application's own hook accepts")
        return ProblemError(
            Kind.UNAUTHENTICATED,
            f"{detail}; accepted: {', or '.join(accepted)}",
            www_authenticate='Bearer realm="oxcart"',
        )

    async def _named_user(self, request: Request) -> User | None:
        user_ids = request.headers.getlist(USER_HEADER)
        if not user_ids:
            return None
        if len(user_ids) > 1:  # a proxy may have put its own behind the client's
            raise ProblemError(Kind.BAD_REQUEST, "send X-Oxcart-User once")
        (user_id,) = user_ids
        if not 0 < len(user_id) <= MAX_USER_ID_CHARS or not is_storable(user_id):
            raise ProblemError(Kind.NO_USER, "X-Oxcart-User is no user id")
        user = await self._users.get(user_id)
        if user is None:
            raise ProblemError(Kind.NO_USER, "X-Oxcart-User names no user who exists")
        return user


def _role_of(scopes: frozenset[Scope]) -> Role:
    if Scope.OPERATOR in scopes:
        return Role.OPERATOR
    return Role.SERVICE if Scope.SERVICE in scopes else Role.SCOPED_KEY


def _presented_key(request: Request) -> str | None:
    """The key that was sent.

    Raises:
        CredentialRejected: a scheme other than Bearer, an empty key, or two different keys.
    """
    keys = {value.strip() for value in request.headers.getlist("x-api-key")}
    for value in request.headers.getlist("authorization"):
        scheme, _, key = value.partition(" ")
        if scheme.lower() != "bearer":
            raise CredentialRejected("Authorization has a scheme other than Bearer")
        keys.add(key.strip())
    if not keys:
        return None
    if len(keys) > 1 or "" in keys:
        raise CredentialRejected("the request carries an empty API key, or two different ones")
    return keys.pop()
