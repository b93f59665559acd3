"""The connections of one transport: those in use, and those kept for the next mail.

The rules:

- a mail takes a place before it takes a connection; there are as many places as connections are
  allowed, and who finds none waits, in order;
- it takes the connection that was used last, and opens one only if none is kept; so those to spare
  stay unused, and are closed after ``idle_limit``;
- a connection is replaced after ``max_mails`` mails;
- if a further connection cannot be had while others are open, the mail waits for one of those, and
  as many as are open are allowed from then on; after every ``fewer_for`` one more is tried.

All of it belongs to one event loop. Between a look at the numbers and their change there is no
``await``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from oxcart.mail.connection import SmtpConnection

if TYPE_CHECKING:
    import ssl

    from oxcart.mail.errors import SmtpError
    from oxcart.mail.smtp_settings import SmtpSettings

log = logging.getLogger("oxcart.mail")


class ConnectionPool:
    """Opens, lends, keeps and closes connections.

    Args:
        settings: how to reach the server, and how many connections there may be.
        tls_context: whom to trust.
    """

    def __init__(self, settings: SmtpSettings, tls_context: ssl.SSLContext | None) -> None:
        self.logs_misconfiguration = True
        self._settings = settings
        self._tls_context = tls_context
        self._in_use: set[SmtpConnection] = set()
        self._kept: dict[SmtpConnection, asyncio.TimerHandle] = {}
        """The one used last is the last."""
        self._opening_count = 0
        self._allowed_count = settings.max_connections
        self._one_more_at = 0.0
        self._mail_count = 0
        """Mails that have come and not gone."""
        self._place_count = 0
        """Places that are taken: of these mails, those that do not wait for others."""
        self._gate = asyncio.Lock()
        self._change = asyncio.Event()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place, and hold it."""
        async with self._gate:
            self._allow_one_more()
            await self._until(self._has_place)
            self._mail_count += 1
            self._place_count += 1
        try:
            yield
        finally:
            self._mail_count -= 1
            self._place_count -= 1
            self._has_changed()

    @asynccontextmanager
    async def connection(self, *, is_new: bool) -> AsyncIterator[SmtpConnection]:
        """Lend a connection to who has a place.

        Args:
            is_new: do not take one that was kept.

        Raises:
            SmtpError: it cannot be opened.
        """
        lent = (None if is_new else await self._take_kept()) or await self._open()
        try:
            yield lent
        finally:
            self._take_back(lent)

    async def wait_for_others(self, error: SmtpError) -> bool:
        """Give up the place until one of the open connections is free.

        Args:
            error: the server's answer to one connection too many.

        Returns:
            Whether there are open ones; without them the answer stands, and the place is held.
        """
        # Those that are being opened now may get in, or fare no better.
        await self._until(lambda: self._open_count() > 0 or self._opening_count == 0)
        if self._open_count() == 0:
            return False
        self._allow_fewer(error)
        self._place_count -= 1
        self._has_changed()
        try:
            await self._until(self._has_place)
        finally:
            self._place_count += 1
        return True

    async def aclose(self) -> None:
        """Wait for the mails that have come before, then close all connections."""
        async with self._gate:
            await self._until(lambda: self._mail_count == 0)
            kept = list(self._kept)
            for timer in self._kept.values():
                timer.cancel()
            self._kept.clear()
            async with asyncio.TaskGroup() as group:
                for connection in kept:
                    group.create_task(connection.hang_up())
        await asyncio.sleep(0)  # lets the loop close the sockets, should it stop right after this

    async def _take_kept(self) -> SmtpConnection | None:
        while self._kept:
            connection, timer = self._kept.popitem()
            timer.cancel()
            if connection.is_worn_out:
                await connection.hang_up()
                return None
            if connection.is_open:
                self._in_use.add(connection)
                return connection
        return None

    async def _open(self) -> SmtpConnection:
        self._opening_count += 1
        try:
            connection = await SmtpConnection.open(
                self._settings, self._tls_context, logs=lambda: self.logs_misconfiguration
            )
            self._in_use.add(connection)
            # Another one may have been refused meanwhile, which lowered the number too far.
            self._allowed_count = max(self._allowed_count, self._open_count())
        finally:
            self._opening_count -= 1
            self._has_changed()
        return connection

    def _take_back(self, connection: SmtpConnection) -> None:
        self._in_use.discard(connection)
        if connection.is_open:
            connection.is_kept = True
            seconds = self._settings.idle_limit.total_seconds()
            timer = asyncio.get_running_loop().call_later(seconds, self._close_unused, connection)
            self._kept[connection] = timer
        self._has_changed()

    def _close_unused(self, connection: SmtpConnection) -> None:
        del self._kept[connection]
        connection.leave()

    def _allow_fewer(self, error: SmtpError) -> None:
        self._one_more_at = self._now() + self._settings.fewer_for.total_seconds()
        if self._open_count() < self._allowed_count:
            self._allowed_count = self._open_count()
            log.info(
                "email.smtp_fewer_connections",
                extra={
                    "smtp_host": self._settings.host,
                    "connections": self._allowed_count,
                    "reason": error.reason,
                },
            )

    def _allow_one_more(self) -> None:
        is_limited = self._allowed_count < self._settings.max_connections
        if is_limited and self._now() >= self._one_more_at:
            self._allowed_count += 1
            self._one_more_at = self._now() + self._settings.fewer_for.total_seconds()

    def _has_place(self) -> bool:
        return self._place_count < self._allowed_count

    def _open_count(self) -> int:
        return len(self._in_use) + sum(connection.is_open for connection in self._kept)

    async def _until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            await self._change.wait()

    def _has_changed(self) -> None:
        """Let everybody who waits look again."""
        self._change.set()
        self._change = asyncio.Event()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
