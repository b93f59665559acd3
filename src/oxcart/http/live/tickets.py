"""Tickets: signed texts that permit a browser to follow one job for a short time.

``EventSource`` cannot send headers, so a ticket may stand in the URL. It names one job of one
queue, the user that it was given to (``None``: an operator) and when it expires; it permits to read
the status and the events of that job and nothing else. A ticket is not a login: the user must still
exist and still own the job when the ticket is used.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from oxcart.http.problems import Kind, ProblemError

MAX_CHARS = 1_500
_PURPOSE = b"oxcart job ticket 1"
_VERSION = "t1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What a ticket says.

    Attributes:
        queue: the job's queue.
        job_id: the job.
        user_id: the user that it was given to; ``None`` for an operator.
        expires_at: when it expires, in seconds since 1970.
    """

    queue: str
    job_id: str
    user_id: str | None
    expires_at: int


class TicketSigner:
    """Makes tickets and reads them.

    Args:
        secrets: the first signs, all are accepted, so that a secret can be replaced.
        lifetime: how long a ticket is good for.
        now: the time in seconds since 1970.
    """

    def __init__(
        self,
        secrets: Sequence[bytes],
        *,
        lifetime: timedelta,
        now: Callable[[], float] = time.time,
    ) -> None:
        # Keys of their own: a signature made for another purpose is worth nothing here.
        self._keys = [hmac.digest(secret, _PURPOSE, hashlib.sha256) for secret in secrets]
        self._lifetime_seconds = int(lifetime.total_seconds())
        self._now = now

    def issue(self, *, queue: str, job_id: str, user_id: str | None) -> tuple[str, Ticket]:
        """Make a ticket; returns its text and what it says."""
        expires_at = int(self._now()) + self._lifetime_seconds
        ticket = Ticket(queue=queue, job_id=job_id, user_id=user_id, expires_at=expires_at)
        content = json.dumps([queue, job_id, user_id, expires_at], separators=(",", ":"))
        payload = f"{_VERSION}.{_encoded(content.encode('ascii'))}"
        signature = hmac.digest(self._keys[0], payload.encode(), hashlib.sha256)
        return f"{payload}.{_encoded(signature)}", ticket

    def read(self, text: str) -> Ticket:
        """Read a ticket.

        Raises:
            ProblemError: 401, it was not made here, was changed, or has expired.
        """
        payload, _, signature = text.rpartition(".")
        given = _decoded(signature)
        signed = payload.encode("utf-8", "replace")
        # All of them, so that the time does not depend on which one fits.
        fits = [
            hmac.compare_digest(hmac.digest(key, signed, hashlib.sha256), given)
            for key in self._keys
        ]
        if not any(fits) or len(text) > MAX_CHARS:
            raise ProblemError(Kind.TICKET_INVALID, "the ticket was not made here, or was changed")
        queue, job_id, user_id, expires_at = json.loads(_decoded(payload.partition(".")[2]))
        if self._now() >= expires_at:
            raise ProblemError(Kind.TICKET_EXPIRED, "the ticket has expired; ask for a new one")
        return Ticket(queue=queue, job_id=job_id, user_id=user_id, expires_at=expires_at)

    def seconds_left(self, ticket: Ticket) -> float:
        """How long a ticket is still good for."""
        return ticket.expires_at - self._now()


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
