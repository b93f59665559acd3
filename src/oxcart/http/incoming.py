"""Webhooks that others send: verified by a signature or a key, acted upon once, checked."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from oxcart.exports.links import web_url
from oxcart.http.body import read_bytes
from oxcart.http.problems import Kind, ProblemError
from oxcart.webhooks.errors import SignatureInvalid
from oxcart.webhooks.received import ReceivedMessages
from oxcart.webhooks.signatures import (
    SIGNATURE_HEADER,
    check_signature,
    parse_verifier,
    read_head,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from oxcart.database.engine import Database
    from oxcart.http.schemas import WebhookEvent
    from oxcart.settings import Settings

log = logging.getLogger("oxcart.http")

SIGNED_CALLER = "webhook-signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """The sender of a webhook.

    Attributes:
        message_id: the id of a signed message; ``None`` for a sender with a key.
    """

    message_id: str | None = None


class Incoming:
    """Verifies webhooks by their signatures and checks what they report.

    Args:
        settings: the secrets, and the hosts of files.
        database: where ids of messages are remembered.
        now: seconds since 1970.

    Raises:
        ConfigError: a secret is not valid.
    """

    def __init__(
        self, settings: Settings, database: Database, *, now: Callable[[], float] = time.time
    ) -> None:
        self._secrets = tuple(map(parse_verifier, settings.webhook_incoming_secrets))
        self._file_hosts = frozenset(host.lower() for host in settings.webhook_file_hosts)
        self._received = ReceivedMessages(database)
        self._now = now

    def is_signed(self, request: Request) -> bool:
        """Whether a request carries a signature, and signatures are accepted here."""
        return bool(self._secrets) and SIGNATURE_HEADER in request.headers

    async def verify(self, request: Request) -> Reporter:
        """Accept a request with a valid signature that is at most five minutes old.

        Raises:
            ProblemError: 401, with the header that is wrong.
        """
        try:
            head = read_head(request.headers, now=self._now())
            check_signature(self._secrets, head, await read_bytes(request))
        except SignatureInvalid as error:
            fact = {
                "client": request.client.host if request.client else None,
                "reason": str(error),
                "request_id": request.scope.get("oxcart.request_id"),
            }
            log.warning("auth.signature_refused", extra=fact)
            raise ProblemError(Kind.UNAUTHENTICATED, str(error)) from error
        request.scope["oxcart.caller"] = SIGNED_CALLER
        return Reporter(message_id=head.message_id)

    def once(self, reporter: Reporter) -> AbstractAsyncContextManager[bool]:
        """Act upon a message inside the block; gives whether it is new.

        Raises:
            MessageBusy: another copy is being acted upon.
        """
        if reporter.message_id is None:
            return nullcontext(True)  # noqa: FBT003  # what the block gets
        return self._received.once(reporter.message_id)

    def check(self, event: WebhookEvent) -> None:
        """Refuse the URL of a file that browsers must not be sent to.

        Raises:
            ProblemError: 400, without the URL.
        """
        url = event.result
        if not isinstance(url, str) or not url.lower().startswith(("http://", "https://")):
            return
        if web_url(url) is None:
            detail = (
                "result is not a URL that can be used: at most 2048 printable characters without "
                "blanks, quotes, angle brackets and direction marks, with a host and no password"
            )
            raise ProblemError(Kind.INVALID_FIELDS, detail)
        host = urlsplit(url).hostname
        if self._file_hosts and host not in self._file_hosts:
            detail = "the host of result is not one of OXCART_WEBHOOK_FILE_HOSTS"
            raise ProblemError(Kind.INVALID_FIELDS, detail)
