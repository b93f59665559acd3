"""An SMTP server that takes what is sent to it, but has some come a second time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiosmtpd.smtp import SMTP, Envelope, Session

LATER = "451 4.3.0 try again later"


class PostOffice:
    """Counts the mails that it took.

    Attributes:
        port: where it listens, on loopback.
        taken: how many mails each address was sent.
        put_off: addresses that were told to come again, once each.
        let_go: until it is set, mails to slow addresses are under way.
        has_failed_elsewhere: whether a mail to an address had its failure somewhere else.
    """

    def __init__(self) -> None:
        self.port = 0
        self.taken: Counter[str] = Counter()
        self.put_off: set[str] = set()
        self.let_go = asyncio.Event()
        self.has_failed_elsewhere: Callable[[str], bool] = lambda address: False

    async def handle_RCPT(  # noqa: N802  # the name is aiosmtpd's
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        """Take a recipient, or put it off."""
        if (
            address.startswith("unlucky")
            and address not in self.put_off
            and not self.has_failed_elsewhere(address)
        ):
            self.put_off.add(address)
            return LATER
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802  # the name is aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Take a mail."""
        if envelope.rcpt_tos[0].startswith("slow"):
            await self.let_go.wait()
        self.taken.update(envelope.rcpt_tos)
        return "250 OK"


@asynccontextmanager
async def open_post_office() -> AsyncIterator[PostOffice]:
    """A post office on a free port, while the body runs."""
    office = PostOffice()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(office, hostname="localhost"), "127.0.0.1", 0)
    office.port = server.sockets[0].getsockname()[1]
    async with server:
        yield office
