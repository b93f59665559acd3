"""Where the server is: a URL, or something that has to be started first."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from oxcart._store.address import Kind, kind_of
from oxcart.errors import ConfigError, StoreUnavailable


class Location:
    """A server's URL, found when it is first needed.

    Args:
        find: gives the URL; it may block, and start a server.
        restore: starts the server again at the same URL if it has gone; ``None`` where that is not
            in our hands. It may block.
    """

    def __init__(
        self, find: Callable[[], str], *, restore: Callable[[], None] | None = None
    ) -> None:
        self._find = find
        self._restore = restore
        self._finding = threading.Lock()
        self.known: str | None = None
        """The URL once it has been found."""

    @classmethod
    def at(cls, url: str) -> Location:
        """A server that is there already."""
        location = cls(lambda: url)
        location.known = url
        return location

    @property
    def is_cluster(self) -> bool:
        """Whether keys are spread over nodes, so that those of a queue must share a hash tag."""
        return self.known is not None and kind_of(self.known) is Kind.CLUSTER

    def url(self) -> str:
        """The URL. Blocks until it is found; from asyncio use ``aurl``.

        Raises:
            OxcartError: what ``find`` raised.
        """
        with self._finding:
            url = self.known or self._find()
            self.known = url
            return url

    async def aurl(self) -> str:
        """The URL, found in a thread if it is not known yet."""
        if self.known is None:
            return await asyncio.to_thread(self.url)
        return self.known

    def restore(self) -> None:
        """Have a server that has gone started again, where that is in our hands. Blocks.

        Raises:
            StoreUnavailable: it cannot be started.
        """
        if self._restore is None:
            return
        try:
            self._restore()
            self.known = self._find()
        except ConfigError as error:
            raise StoreUnavailable(str(error)) from error

    async def arestore(self) -> None:
        """Do the same from asyncio."""
        if self._restore is not None:
            await asyncio.to_thread(self.restore)
