"""The result of an authentication method, and its refusal."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The user whom a credential belongs to; the application looks the user up in its own table.

    Attributes:
        user_id: the user's id.
        email: the user's e-mail address; counts only where ``user_id`` is None.
        is_from_cookie: whether a browser sends the credential by itself, so that a request that
            changes something must also come from a page of a trusted origin.
    """

    user_id: str | None = None
    email: str | None = None
    is_from_cookie: bool = True


class CredentialRejected(Exception):
    """A credential was sent and is not valid; the text is for the caller and names no secret."""
