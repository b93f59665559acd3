"""The four e-mail jobs of the queue ``email``, as BullMQ's programs know them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from oxcart import (
    App,
    Fail,
    GiveBack,
    JobDefinition,
    RateLimit,
    Retention,
    current_job,
    exponential,
)
from oxcart.errors import ConfigError, PayloadError, StoreError
from oxcart.mail.errors import SmtpError, SmtpRefused, SmtpTemporary
from oxcart.mail.letterhead import Letterhead
from oxcart.mail.messages import build_message, cuts_of
from oxcart.mail.payloads import (
    SECRET_KEYS,
    EmailPayload,
    NotificationPayload,
    PasswordResetPayload,
    VerificationPayload,
    WelcomePayload,
)
from oxcart.mail.recipients import parse_recipients
from oxcart.mail.smtp_breaker import LONGEST_WAIT_S, SmtpBreaker
from oxcart.mail.templates import EmailTemplates, built_in_templates, load_templates
from oxcart.mail.validity import expired_reason
from oxcart.mail.verdict import is_servers_failure
from oxcart.mail.wire_data import EmailData

if TYPE_CHECKING:
    from datetime import datetime
    from email.message import EmailMessage

    from oxcart import AppWorker
    from oxcart.mail.transport import CheckedTransport, Transport
    from oxcart.settings import Settings

log = logging.getLogger("oxcart.mail")

QUEUE = "email"
_FIRST, _USUAL = 1, 2
"""Priorities: somebody is waiting for a password reset."""


class EmailJobs:
    """Declares the four e-mail jobs on an app.

    The worker's lifespan sets ``transport`` to an open one; programs that only queue mails need
    none.

    Args:
        app: where the jobs are declared.
        app_name: the application's name in mails.
        app_url: where links in mails lead.
        sender: the From line.
        templates: the templates of the mails; default: the built-in ones.

    Attributes:
        letterhead: the last four, checked.
        transport: what sends the mails of the jobs that run in this process.
    """

    def __init__(
        self,
        app: App,
        *,
        app_name: str,
        app_url: str,
        sender: str,
        templates: EmailTemplates | None = None,
        recipient_limit: int = 0,
    ) -> None:
        self._app = app
        self._recipient_limit = recipient_limit
        self.letterhead = Letterhead(
            app_name=app_name,
            app_url=app_url,
            sender=sender,
            templates=templates or built_in_templates(),
        )
        self.transport: Transport | None = None
        self._breaker: SmtpBreaker | None = None
        self._definitions = self._declare(app)

    @classmethod
    def from_settings(cls, app: App, settings: Settings) -> Self:
        """Declare the jobs with the settings' letterhead.

        Raises:
            ConfigError: a setting or a template cannot work.
        """
        return cls(
            app,
            app_name=settings.app_name,
            app_url=settings.app_url,
            sender=settings.sender,
            templates=load_templates(settings.mail_templates),
            recipient_limit=settings.emails_per_recipient,
        )

    @asynccontextmanager
    async def sending(
        self,
        transport: CheckedTransport,
        worker: AppWorker,
        *,
        check_seconds: float = LONGEST_WAIT_S,
    ) -> AsyncIterator[None]:
        """Send the mails of a worker through a transport for as long as the block lasts.

        While the SMTP server takes no mail at all, the worker takes no e-mails: they wait in the
        queue, and no attempt is counted.

        Args:
            transport: sends the mails.
            worker: runs the jobs.
            check_seconds: the longest time between two checks of a server that takes no mail.
        """
        sender = self.letterhead.sender_address.addr_spec
        breaker = SmtpBreaker(
            lambda: transport.check(sender),
            worker.pauses,
            queue=QUEUE,
            server=transport.server,
            longest_wait_s=check_seconds,
        )
        transport.logs_misconfiguration = False  # the breaker logs it, once an outage
        self.transport, self._breaker = transport, breaker
        try:
            async with asyncio.TaskGroup() as group:
                checking = group.create_task(breaker.run())
                try:
                    yield
                finally:
                    checking.cancel()
        finally:
            self.transport = self._breaker = None

    def _declare(self, app: App) -> dict[type[EmailPayload], JobDefinition[..., str]]:
        @app.job("welcome", **_options(_USUAL))
        async def welcome(data: EmailData, /) -> str:
            return await self._run(data, "welcome")

        @app.job("verification", **_options(_USUAL))
        async def verification(data: EmailData, /) -> str:
            return await self._run(data, "verification")

        @app.job("password_reset", **_options(_FIRST))
        async def password_reset(data: EmailData, /) -> str:
            return await self._run(data, "password_reset")

        @app.job("notification", **_options(_USUAL))
        async def notification(data: EmailData, /) -> str:
            return await self._run(data, "notification")

        return {
            WelcomePayload: welcome,
            VerificationPayload: verification,
            PasswordResetPayload: password_reset,
            NotificationPayload: notification,
        }

    async def enqueue(
        self, payload: EmailPayload, *, job_id: str, created_at: datetime | None = None
    ) -> None:
        """Queue a mail.

        Args:
            payload: one of the four.
            job_id: its id; queueing the same id again changes nothing.
            created_at: when the job was created, a part of the ``Message-ID``; default: now.

        Raises:
            PayloadError: its link leads to another site.
            StoreError: it could not be queued, or nobody knows whether it was.
        """
        definition = self._definitions[type(payload)]
        changed = definition.options(job_id=job_id, timestamp=created_at)
        if (queue := self._app.queue(QUEUE)).broker == "redis":
            await queue.add_spec_within(changed.spec(self._checked(payload)))
        else:
            await changed.enqueue(self._checked(payload))

    def enqueue_sync(
        self, payload: EmailPayload, *, job_id: str, created_at: datetime | None = None
    ) -> None:
        """Queue a mail from blocking code; see ``enqueue``."""
        definition = self._definitions[type(payload)]
        changed = definition.options(job_id=job_id, timestamp=created_at)
        if (queue := self._app.sync_queue(QUEUE)).broker == "redis":
            queue.add_spec_within(changed.spec(self._checked(payload)))
        else:
            changed.enqueue_sync(self._checked(payload))

    def _checked(self, payload: EmailPayload) -> EmailData:
        """Return a payload for the wire; a link to another site is refused before it is queued."""
        if isinstance(payload, NotificationPayload) and payload.metadata.link:
            self.letterhead.link(payload.metadata.link, what="metadata.link")
        return EmailData.of(payload)

    async def _run(self, data: EmailData, name: str) -> str:
        """Run the job of a name: the type in its data decides which mail is sent."""
        payload = data.payload(name)
        job = current_job()
        if job.record.attempts_started <= 1:  # one that was put back has them already
            for cut in cuts_of(payload):
                await job.log(str(cut))
        return await self._deliver(payload)

    async def _deliver(self, payload: EmailPayload) -> str:
        """Send a job's mail and give its ``Message-ID``, the job's result."""
        breaker = self._breaker
        if breaker is not None and breaker.is_open:
            raise GiveBack
        job = current_job()
        created_at_ms = job.record.created_at_ms
        message = build_message(
            payload, self.letterhead, job_id=job.job_id, created_at_ms=created_at_ms
        )
        facts = {"job_id": job.job_id, "email_type": payload.type, "attempt": job.attempt}
        expired = expired_reason(payload.type, created_at_ms, job.record.processed_at_ms)
        if expired is not None:
            log.warning("email.expired", extra=facts | {"reason": expired})
            raise Fail(expired)
        over_limit = await self._over_limit_reason(payload)
        if over_limit is not None:
            log.warning("email.limit_reached", extra=facts | {"reason": over_limit})
            raise Fail(over_limit)
        job.ensure_lock()
        try:
            await self._send(message)
        except SmtpRefused as error:
            log.warning("email.refused", extra=facts | {"reason": error.reason})
            raise Fail(error.reason) from error
        except SmtpTemporary as error:
            log.warning("email.put_off", extra=facts | {"reason": error.reason})
            raise
        log.info("email.sent", extra=facts)
        return str(message["Message-ID"])

    async def _over_limit_reason(self, payload: EmailPayload) -> str | None:
        """Return why a recipient gets no further mail for now; ``None`` if it may have this one."""
        queue = self._app.queue(QUEUE)
        if not self._recipient_limit or queue.broker != "redis":
            return None
        limit = RateLimit(max=self._recipient_limit, per="1h")
        for recipient in parse_recipients(payload.to_email, what="toEmail"):
            name = f"recipient:{recipient.addr_spec.lower()}"
            try:
                wait_s = await queue.count_use(name, current_job().job_id, limit)
            except StoreError as error:
                # Mails are not kept back by a server that answers no questions just now.
                log.debug("email.limit_not_checked", extra={"reason": str(error)})
                return None
            if wait_s is not None:
                return (
                    f"not sent: {limit.max} e-mails were sent to a recipient within an hour, as "
                    "many as OXCART_EMAILS_PER_RECIPIENT allows"
                )
        return None

    async def _send(self, message: EmailMessage) -> None:
        """Send a message.

        Raises:
            GiveBack: the server takes no mail at all; this one waits in the queue.
            SmtpError: the server did not accept this one.
        """
        breaker, transport = self._breaker, self.transport
        if transport is None:
            raise ConfigError("this worker has no SMTP transport: set EmailJobs.transport first")
        try:
            await transport.send(message)
        except SmtpError as error:
            if breaker is None or not is_servers_failure(error):
                raise
            breaker.server_failed(error)
            raise GiveBack from error
        if breaker is not None:
            breaker.mail_sent()


def _options(priority: int) -> dict[str, Any]:
    """Give the options of ``App.job`` that the contract with the Node site sets."""
    return {
        "queue": QUEUE,
        "attempts": 3,
        "backoff": exponential("1s"),
        "priority": priority,
        "keep_completed": Retention(count=100, age="24h"),
        "keep_failed": Retention(count=50, age="7d"),
        "secrets": SECRET_KEYS,
        # What no header may hold is refused at once, and not put back for a newer worker.
        "retry": {PayloadError: False},
    }
