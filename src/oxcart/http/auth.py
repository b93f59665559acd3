"""Who is calling.

* An *operator* key sees and does everything.
* A *service* key acts for the user that ``X-Oxcart-User`` names; the user must exist. An operator
  key may name a user too, and then asks for that user's exports.
* In development a request without a key acts for the sample data's administrator, if it comes from
  a program on this machine (``local_requests``) and the settings allow it
  (``_settings.default_user``).

A key that is wrong is refused, it never falls back to the default user.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from oxcart._settings.default_user import why_no_default_user
from oxcart._settings.rules import key_problems
from oxcart._settings.values import refusal
from oxcart.http.body import is_storable
from oxcart.http.local_requests import is_local
from oxcart.http.problems import Kind, ProblemError

if TYPE_CHECKING:
    from starlette.requests import Request

    from oxcart.database.users import User
    from oxcart.settings import Settings

USER_HEADER = "x-oxcart-user"
MAX_USER_ID_CHARS = 200
_WANTED = "send an API key as Authorization: Bearer <key>"


class Role(StrEnum):
    """What a caller's key is."""

    OPERATOR = "operator"
    SERVICE = "service"
    DEFAULT_USER = "default-user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who is calling: the key's role and the user acted for, if any."""

    role: Role
    user: User | None = None

    @property
    def is_operator(self) -> bool:
        """Whether the caller may see and do everything."""
        return self.role is Role.OPERATOR

    @property
    def has_key(self) -> bool:
        """Whether the caller has shown a key, rather than being let in by development."""
        return self.role is not Role.DEFAULT_USER


class UserDirectory(Protocol):
    """What authentication needs of ``oxcart.database.users.Users``."""

    async def get(self, user_id: str) -> User | None:
        """Find a user by id."""
        ...

    async def default_user(self) -> User | None:
        """Find the sample data's administrator."""
        ...


class Authenticator:
    """Finds out who is calling.

    Args:
        settings: the keys and the environment.
        users: where users are looked up.

    Raises:
        ConfigError: production without a key or with one that is too short; a key in both roles.
    """

    def __init__(self, settings: Settings, users: UserDirectory) -> None:
        problems = tuple(key_problems(settings))
        if problems:
            raise refusal(problems)
        self._users = users
        self._why_no_default_user = why_no_default_user(settings)
        self._is_development = settings.env == "development"
        self._digests = [
            *((_digest(key), Role.OPERATOR) for key in settings.operator_keys),
            *((_digest(key), Role.SERVICE) for key in settings.service_keys),
        ]

    async def authenticate(self, request: Request) -> Caller:
        """Return the caller.

        Raises:
            ProblemError: 401, without a hint at which part of a key was wrong.
        """
        key = _presented_key(request)
        if key is not None:
            return Caller(role=self._role_of(key), user=await self._named_user(request))
        if USER_HEADER in request.headers:
            raise _unauthenticated("X-Oxcart-User needs a key beside it")
        if self._is_development and is_local(request):
            if self._why_no_default_user is not None:
                raise _unauthenticated(f"{_WANTED}: {self._why_no_default_user}")
            return Caller(role=Role.DEFAULT_USER, user=await self._users.default_user())
        raise _unauthenticated(_WANTED)

    def _role_of(self, key: str) -> Role:
        digest = _digest(key)
        found: Role | None = None
        for known, role in self._digests:  # all of them, so that time says nothing about which
            if hmac.compare_digest(known, digest):
                found = role
        if found is None:
            raise _unauthenticated("the API key is wrong")
        return found

    async def _named_user(self, request: Request) -> User | None:
        user_id = request.headers.get(USER_HEADER)
        if user_id is None:
            return None
        if not 0 < len(user_id) <= MAX_USER_ID_CHARS or not is_storable(user_id):
            raise ProblemError(Kind.NO_USER, "X-Oxcart-User is no user id")
        user = await self._users.get(user_id)
        if user is None:
            raise ProblemError(Kind.NO_USER, "X-Oxcart-User names no user who exists")
        return user


def _digest(key: str) -> bytes:
    # Digests have one length, so comparing them does not tell how long a key is.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _presented_key(request: Request) -> str | None:
    """The key that was sent.

    Raises:
        ProblemError: 401 for a scheme other than Bearer, an empty key, or two different keys.
    """
    keys = {value.strip() for value in request.headers.getlist("x-api-key")}
    for value in request.headers.getlist("authorization"):
        scheme, _, key = value.partition(" ")
        if scheme.lower() != "bearer":
            raise _unauthenticated("only Authorization: Bearer <key> is known")
        keys.add(key.strip())
    if not keys:
        return None
    if len(keys) > 1 or "" in keys:
        raise _unauthenticated("send one API key")
    return keys.pop()


def _unauthenticated(detail: str) -> ProblemError:
    return ProblemError(Kind.UNAUTHENTICATED, detail, www_authenticate='Bearer realm="oxcart"')
