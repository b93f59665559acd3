"""The limit on clients that wait: open streams and long polls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from oxcart.http.problems import Kind, ProblemError

RETRY_AFTER_SECONDS = 5


class WaitingClients:
    """Counts the clients that wait in this process, and refuses more than there may be.

    Args:
        most: how many may wait at a time.
        most_of_one: how many of them may be of one caller.
    """

    def __init__(self, *, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._waiting: Counter[str] = Counter()
        self._total = 0

    @property
    def count(self) -> int:
        """How many wait now."""
        return self._total

    @contextmanager
    def one_of(self, caller: str) -> Iterator[None]:
        """Count a client for as long as the block lasts.

        Raises:
            ProblemError: 429, the caller has too many; 503, the process has.
        """
        retry_after = str(RETRY_AFTER_SECONDS)
        if self._waiting[caller] >= self._most_of_one:
            detail = (
                f"{self._most_of_one} streams and long polls of this caller are open already; "
                "close one, or ask again later"
            )
            raise ProblemError(Kind.TOO_MANY_STREAMS, detail, retry_after=retry_after)
        if self._total >= self._most:
            detail = "all places for streams and long polls are taken; ask again later"
            raise ProblemError(Kind.STREAMS_FULL, detail, retry_after=retry_after)
        self._waiting[caller] += 1
        self._total += 1
        try:
            yield
        finally:
            self._total -= 1
            self._waiting[caller] -= 1
            if not self._waiting[caller]:
                del self._waiting[caller]
