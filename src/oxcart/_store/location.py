"""Where the server is: a URL, or something that has to be started first."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable


class Location:
    """A server's URL, found when it is first needed.

    Args:
        find: gives the URL; it may block, and start a server.
    """

    def __init__(self, find: Callable[[], str]) -> None:
        self._find = find
        self._finding = threading.Lock()
        self.known: str | None = None
        """The URL once it has been found."""

    @classmethod
    def at(cls, url: str) -> Location:
        """A server that is there already."""
        location = cls(lambda: url)
        location.known = url
        return location

    def url(self) -> str:
        """The URL. Blocks until it is found; call it in a thread from asyncio.

        Raises:
            OxcartError: what ``find`` raised.
        """
        with self._finding:
            if self.known is None:
                self.known = self._find()
            return self.known

    async def aurl(self) -> str:
        """The URL, found in a thread if it is not known yet."""
        return self.known or await asyncio.to_thread(self.url)

    def look_again(self) -> str:
        """Find the URL anew: the server may have to be started again. Blocks."""
        with self._finding:
            self.known = self._find()
            return self.known
