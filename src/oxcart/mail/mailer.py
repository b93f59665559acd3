"""Sends e-mails for an application: through the queue, or at once when there is no queue."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol, Self
from uuid import uuid4

from oxcart.errors import StoreError
from oxcart.mail import payloads
from oxcart.mail.breaker import CircuitBreaker
from oxcart.mail.errors import SmtpTemporary
from oxcart.mail.messages import build_message, message_id

if TYPE_CHECKING:
    from oxcart.mail.letterhead import Letterhead
    from oxcart.mail.outgoing import TransportFactory
    from oxcart.mail.payloads import EmailPayload

log = logging.getLogger("oxcart.mail")

_DIRECT_LIMIT = timedelta(seconds=20)


class EmailQueue(Protocol):
    """Where mails are queued; ``EmailJobs`` is the real one."""

    @property
    def letterhead(self) -> Letterhead:
        """In whose name mails are sent."""

    async def enqueue(self, payload: EmailPayload, *, job_id: str, created_at: datetime) -> None:
        """Queue a mail under an id, created at an instant.

        Raises:
            StoreError: it could not be queued, or nobody knows whether it was.
        """

    def enqueue_sync(self, payload: EmailPayload, *, job_id: str, created_at: datetime) -> None:
        """Do the same from blocking code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What became of a mail.

    Attributes:
        queued: whether a worker will send it; otherwise it has been sent.
        job_id: its job; a mail sent at once has an id but no job.
        message_id: the header ``Message-ID`` that it has or will have.
    """

    queued: bool
    job_id: str
    message_id: str


class Mailer:
    """Sends the four e-mails.

    Each mail is queued. If Redis cannot be reached, it is sent at once, in the caller, and for
    the next 15 seconds no caller waits for Redis again.

    A mail whose queueing timed out is not queued afterwards, as ``Queue.add_spec_within`` does it.
    Only if Redis stops between adding the job and its reply may a mail go out twice, with one and
    the same ``Message-ID``.

    Args:
        jobs: the queue.
        transport_factory: opens the transport for a mail sent at once.
        breaker: shared by whoever shares a Redis.
        direct_limit: how long sending at once may take; closing the connection comes on top.
    """

    def __init__(
        self,
        jobs: EmailQueue,
        transport_factory: TransportFactory,
        breaker: CircuitBreaker | None = None,
        *,
        direct_limit: timedelta = _DIRECT_LIMIT,
    ) -> None:
        self._jobs = jobs
        self._transport_factory = transport_factory
        self._breaker = breaker or CircuitBreaker()
        self._direct_limit = direct_limit

    async def send_welcome_email(self, to: str, name: str) -> Delivery:
        """Send a welcome mail; see ``send``."""
        return await self.send(payloads.welcome(to, name))

    async def send_verification_email(self, to: str, name: str, token: str) -> Delivery:
        """Send a mail whose link verifies the address; see ``send``."""
        return await self.send(payloads.verification(to, name, token))

    async def send_password_reset_email(self, to: str, reset_code: str) -> Delivery:
        """Send a mail with a code to choose a new password; see ``send``."""
        return await self.send(payloads.password_reset(to, reset_code))

    async def send_notification_email(
        self, to: str, name: str, title: str, message: str, link: str | None = None
    ) -> Delivery:
        """Send a notification; ``link`` is a path of the web application. See ``send``."""
        return await self.send(payloads.notification(to, name, title, message, link))

    async def send(self, payload: EmailPayload) -> Delivery:
        """Queue a mail, or send it at once if Redis cannot be reached.

        Raises:
            SmtpError: it had to be sent at once, and the SMTP server did not accept it.
            ConfigError: it had to be sent at once, and no SMTP server is set.
        """
        new = _NewJob.now()
        if self._breaker.allows():
            try:
                await self._jobs.enqueue(payload, job_id=new.id, created_at=new.created_at)
            except StoreError as error:
                self._queue_failed(error)
            else:
                return self._queued(payload, new)
        return await self._send_at_once(payload, new)

    def send_sync(self, payload: EmailPayload) -> Delivery:
        """Do the same as ``send`` from blocking code: Django, Flask, a thread."""
        new = _NewJob.now()
        if self._breaker.allows():
            try:
                self._jobs.enqueue_sync(payload, job_id=new.id, created_at=new.created_at)
            except StoreError as error:
                self._queue_failed(error)
            else:
                return self._queued(payload, new)
        return self._send_at_once_in_thread(payload, new)

    def _queued(self, payload: EmailPayload, new: _NewJob) -> Delivery:
        self._breaker.succeeded()
        log.debug("email.queued", extra={"job_id": new.id, "email_type": payload.type})
        return self._delivery(payload, new, queued=True)

    def _queue_failed(self, error: StoreError) -> None:
        self._breaker.failed()
        log.warning("email.queue_unavailable", extra={"reason": str(error)})

    async def _send_at_once(self, payload: EmailPayload, new: _NewJob) -> Delivery:
        message = build_message(
            payload, self._jobs.letterhead, job_id=new.id, created_at_ms=new.created_at_ms
        )
        try:
            async with self._transport_factory() as transport:
                # Not around closing, however long that takes: the mail may have been taken.
                async with asyncio.timeout(self._direct_limit.total_seconds()):
                    await transport.send(message)
        except TimeoutError as error:
            words = f"sending took longer than {self._direct_limit.total_seconds():g} s"
            raise SmtpTemporary(stage="any", code=None, words=words) from error
        log.info("email.sent_at_once", extra={"job_id": new.id, "email_type": payload.type})
        return self._delivery(payload, new, queued=False)

    def _send_at_once_in_thread(self, payload: EmailPayload, new: _NewJob) -> Delivery:
        # A thread of its own has no event loop yet, whatever thread the caller is on.
        context = contextvars.copy_context()
        with ThreadPoolExecutor(1, thread_name_prefix="oxcart-mail") as executor:
            sending = executor.submit(
                lambda: context.run(asyncio.run, self._send_at_once(payload, new))
            )
            return sending.result()

    def _delivery(self, payload: EmailPayload, new: _NewJob, *, queued: bool) -> Delivery:
        header = message_id(
            payload, self._jobs.letterhead, job_id=new.id, created_at_ms=new.created_at_ms
        )
        return Delivery(queued=queued, job_id=new.id, message_id=header)


@dataclass(frozen=True, slots=True, kw_only=True)
class _NewJob:
    """The id and time of a mail's job, known before the job is queued.

    They make the ``Message-ID`` unique, and a repeated call safe.
    """

    id: str
    created_at: datetime

    @classmethod
    def now(cls) -> Self:
        now = datetime.now(UTC)
        whole_ms = now.replace(microsecond=now.microsecond // 1_000 * 1_000)
        return cls(id=str(uuid4()), created_at=whole_ms)

    @property
    def created_at_ms(self) -> int:
        return round(self.created_at.timestamp() * 1_000)
