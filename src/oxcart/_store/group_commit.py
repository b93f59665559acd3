"""Joining concurrent callers into batches.

The first caller's item goes out at once. Those that come while it is under way wait and go out
together in the next batch. There is no timer and no task: one of the waiting callers leads. When
callers came together the last time, the one that leads lets the loop turn once before it sends, so
that those whom the last reply has woken can join it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")
R = TypeVar("R")


@dataclass(slots=True, eq=False)
class _Entry(Generic[T, R]):
    item: T
    settled: asyncio.Future[R | None]  # resolved with None: this caller is to lead
    result: R | None = None
    is_done: bool = False


@dataclass(slots=True)
class _Batch(Generic[T, R]):
    key: str
    entries: list[_Entry[T, R]]


class GroupCommit(Generic[T, R]):
    """Sends items in batches, one batch at a time.

    State is owned by the event loop: nothing awaits between reading and writing it.

    Args:
        send: sends a batch under a key and returns a result an item, in order. A batch whose
            sending was cancelled is sent again under the same key, which must have no effect twice.
        new_key: makes a batch's key.
        limit: how many items a batch may have.
    """

    def __init__(
        self,
        send: Callable[[str, Sequence[T]], Awaitable[Sequence[R]]],
        *,
        new_key: Callable[[], str],
        limit: int,
    ) -> None:
        self._send = send
        self._new_key = new_key
        self._limit = limit
        self._waiting: deque[_Entry[T, R]] = deque()
        self._unsettled: _Batch[T, R] | None = None
        self._has_leader = False
        self._came_together = False

    async def submit(self, item: T) -> R:
        """Send an item with whatever goes out next and return its result.

        Raises:
            Exception: what ``send`` raised for the batch.
        """
        entry: _Entry[T, R] = _Entry(item, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        if self._has_leader:
            try:
                await entry.settled
            except asyncio.CancelledError:
                self._withdraw(entry)
                raise
        else:
            self._has_leader = True
            entry.settled.set_result(None)  # chosen by itself: never again by a hand-over
        if not entry.is_done:
            await self._lead(entry)
        return entry.result  # type: ignore[return-value]  # set together with is_done

    async def _lead(self, own: _Entry[T, R]) -> None:
        """Send batches until the own item is settled, then hand the lead on."""
        try:
            while not own.is_done:
                await self._send_next()
        except asyncio.CancelledError:
            if own in self._waiting:  # not sent yet
                self._waiting.remove(own)
            raise
        finally:
            self._hand_over()

    async def _send_next(self) -> None:
        if self._unsettled is None:
            if self._came_together:
                await asyncio.sleep(0)
            size = min(self._limit, len(self._waiting))
            entries = [self._waiting.popleft() for _ in range(size)]
            self._came_together = size > 1
            self._unsettled = _Batch(self._new_key(), entries)
        batch = self._unsettled
        try:
            results = await self._send(batch.key, [entry.item for entry in batch.entries])
        except asyncio.CancelledError:
            raise  # the batch stays unsettled; the next leader sends it again under its key
        except BaseException as error:
            self._unsettled = None
            self._settle_with_error(batch, error)
            raise
        self._unsettled = None
        for entry, result in zip(batch.entries, results, strict=True):
            entry.result, entry.is_done = result, True
            if not entry.settled.done():
                entry.settled.set_result(result)

    def _settle_with_error(self, batch: _Batch[T, R], error: BaseException) -> None:
        # The leader raises the error itself; its own future is waited on by nobody.
        for entry in batch.entries:
            if not entry.settled.done():
                entry.settled.set_exception(error)
                entry.settled.exception()

    def _withdraw(self, entry: _Entry[T, R]) -> None:
        """Take a cancelled caller out: its item is not sent if it is not under way."""
        if entry in self._waiting:
            self._waiting.remove(entry)
        was_chosen = entry.settled.done() and not entry.settled.cancelled() and not entry.is_done
        if was_chosen and entry.settled.exception() is None:
            self._hand_over()

    def _hand_over(self) -> None:
        """Choose the next leader among those who still wait, or leave the place empty."""
        unsettled = self._unsettled.entries if self._unsettled else []
        heir = _first_alive(unsettled)
        if heir is None:
            self._unsettled = None  # nobody waits for that batch any more
            heir = _first_alive(self._waiting)
        if heir is None:
            self._has_leader = False
        else:
            heir.settled.set_result(None)


def _first_alive(entries: Iterable[_Entry[T, R]]) -> _Entry[T, R] | None:
    """The first caller that was neither cancelled nor chosen to lead."""
    return next((entry for entry in entries if not entry.settled.done()), None)


class LoopCommits(Generic[T, R]):
    """The ``GroupCommit`` of each event loop, made when a loop first sends.

    Args:
        send: as ``GroupCommit``'s; its keys are unique texts.
        limit: how many items a batch may have.
    """

    def __init__(
        self, send: Callable[[str, Sequence[T]], Awaitable[Sequence[R]]], *, limit: int
    ) -> None:
        self._send = send
        self._limit = limit
        self._commits: WeakKeyDictionary[asyncio.AbstractEventLoop, GroupCommit[T, R]] = (
            WeakKeyDictionary()
        )

    def submit(self, item: T) -> Coroutine[Any, Any, R]:
        """Send an item with whatever goes out next from the running loop."""
        loop = asyncio.get_running_loop()
        commit = self._commits.get(loop)
        if commit is None:
            commit = GroupCommit(self._send, new_key=lambda: uuid.uuid4().hex, limit=self._limit)
            self._commits[loop] = commit
        return commit.submit(item)
