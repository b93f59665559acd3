"""Signed links: whoever has one may download that export's file until it expires."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from oxcart._private_files import make_private_folder
from oxcart._settings.rules import MIN_SECRET_CHARS, secret_problems
from oxcart._settings.values import refusal
from oxcart.database.texts import is_storable
from oxcart.errors import ConfigError
from oxcart.exports.errors import LinkExpired, LinkInvalid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from oxcart import JsonValue
    from oxcart.settings import Settings

FOREVER = timedelta(days=36_500)
"""Lifetime of the row's link to a file that is kept for ever."""
SECRET_FILE = "signing-secret"  # noqa: S105  # the file's name
_PURPOSE = b"oxcart export link 1"
FILE_URL_PATTERN = "%/api/exports/%/file%"
"""SQL pattern of the URLs of files that are kept here, under whatever address."""
# No sign, no blanks, no other alphabet's digits: one spelling of a time has one signature.
MAX_URL_CHARS = 2_048
_NOT_IN_A_URL = re.compile(r"[\s\"'<>\\^`{|}]")
_EXPIRES = re.compile(r"[0-9]{1,12}")


class LinkSigner:
    """Signs and checks links.

    Args:
        secret: the same in every process that makes or checks links.
        base_url: the API as clients reach it, without a trailing slash.
        lifetime: how long a link is good for.
        row_lifetime: how long the URL in an export's row is good for without a login; None: it
            needs one.
        old_secrets: secrets that were replaced; links made with them are still accepted.
        now: the time in seconds since 1970.
    """

    def __init__(
        self,
        secret: bytes,
        *,
        base_url: str,
        lifetime: timedelta,
        row_lifetime: timedelta | None = None,
        old_secrets: Sequence[bytes] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        # A key of its own: a signature made for another purpose is worth nothing here.
        self._key, *self._old_keys = (
            hmac.digest(each, _PURPOSE, hashlib.sha256) for each in (secret, *old_secrets)
        )
        self._base_url = base_url
        self._lifetime = lifetime
        self._row_lifetime = row_lifetime
        self._now = now

    def file_url(self, export_id: str) -> str:
        """Return the stable, unsigned URL of an export's file."""
        return self._base_url + _path_of(export_id)

    def row_url(self, export_id: str) -> str:
        """Return the URL that is written into the row of an export that was finished just now."""
        if self._row_lifetime is None:
            return self.file_url(export_id)
        return self._signed_url(export_id, self._row_lifetime)

    def is_ours(self, url: str, export_id: str) -> bool:
        """Whether a URL is of an export's file here, if perhaps under an earlier address."""
        return url.partition("?")[0].endswith(_path_of(export_id))

    def signed_url(self, export_id: str) -> str:
        """Return a link to the file that needs no login until it expires."""
        return self._signed_url(export_id, self._lifetime)

    def _signed_url(self, export_id: str, lifetime: timedelta) -> str:
        expires = str(int(self._now() + lifetime.total_seconds()))
        signature = _signature(self._key, export_id, expires)
        query = urlencode({"expires": expires, "signature": signature})
        return f"{self.file_url(export_id)}?{query}"

    def check(self, export_id: str, *, expires: str | None, signature: str | None) -> None:
        """Accept a link's two parameters, or raise.

        Raises:
            LinkInvalid: they were not made for this export and each other.
            LinkExpired: they were, but the time is over.
        """
        if expires is None or signature is None or not _EXPIRES.fullmatch(expires):
            raise LinkInvalid
        given = signature.encode("utf-8", "replace")
        fits = [  # all of them, so that the time does not depend on which one fits
            hmac.compare_digest(_signature(key, export_id, expires).encode(), given)
            for key in (self._key, *self._old_keys)
        ]
        if not any(fits):
            raise LinkInvalid
        if self._now() >= int(expires):
            raise LinkExpired


def _signature(key: bytes, export_id: str, expires: str) -> str:
    message = f"{export_id}\n{expires}".encode("utf-8", "replace")
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def _path_of(export_id: str) -> str:
    return f"/api/exports/{quote(export_id, safe='')}/file"


def web_url(value: JsonValue) -> str | None:
    """Return a value that a worker gave as a file's URL if it is one that browsers may be sent to.

    ``javascript:`` and the like are not, nor is a text with blanks, control characters or marks
    that change the direction of writing, with a password, or of more than 2,048 characters.
    """
    if not isinstance(value, str) or not is_storable(value) or len(value) > MAX_URL_CHARS:
        return None
    if not value.isprintable() or _NOT_IN_A_URL.search(value):
        return None
    try:
        parts = urlsplit(value)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    is_plain = parts.scheme in ("https", "http") and parts.username is None
    return value if has_host and is_plain else None


def signing_secret(settings: Settings) -> bytes:
    """Return the secret that links are signed with.

    Without a setting one is made and kept in the data folder, readable by its owner alone.

    Raises:
        ConfigError: the setting is too short to be a secret, or missing in production, where
            several machines would each make their own.
    """
    problems = tuple(secret_problems(settings))
    if problems:
        raise refusal(problems)
    given = settings.signing_secret
    return _kept_secret(settings.data_dir) if given is None else given.encode()


def old_signing_secrets(settings: Settings) -> tuple[bytes, ...]:
    """Return the secrets that were replaced."""
    return tuple(secret.encode() for secret in settings.old_signing_secrets)


def _kept_secret(folder: Path) -> bytes:
    path = folder / SECRET_FILE
    try:
        return _checked(path)
    except FileNotFoundError:
        make_private_folder(folder)
    # Written aside and linked into place: of processes that start together one makes the secret,
    # and none can read half of it.
    beside = folder / f".{SECRET_FILE}.{secrets.token_hex(8)}"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(32).encode())
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(beside)
    except FileExistsError:
        pass
    finally:
        beside.unlink(missing_ok=True)
    return _checked(path)


def _checked(path: Path) -> bytes:
    secret = path.read_bytes()
    if len(secret) < MIN_SECRET_CHARS:
        raise ConfigError(f"{path} holds no secret; delete it and a new one will be made")
    return secret
