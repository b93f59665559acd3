"""Both faces of the API behind one: asyncio's as it is, the blocking one with its calls in threads.

So one test body checks both.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Protocol, cast

import oxcart
from oxcart import sync
from oxcart._store.sync_store import SyncStore

_END = object()
_BLOCKING = (
    sync.FlowJob,
    sync.FlowProducer,
    sync.Job,
    sync.Queue,
    sync.QueueEvents,
    SyncStore,
)


class Api(Protocol):
    """What both faces offer, as asyncio's."""

    Queue: type[oxcart.Queue]
    FlowProducer: type[oxcart.FlowProducer]
    QueueEvents: type[oxcart.QueueEvents]


class Blocking:
    """``oxcart.sync``, as if it were asyncio's."""

    Queue = property(lambda _: _maker(sync.Queue))
    FlowProducer = property(lambda _: _maker(sync.FlowProducer))
    QueueEvents = property(lambda _: _maker(sync.QueueEvents))


FACES = {"asyncio": cast("Api", oxcart), "blocking": cast("Api", Blocking())}


class Threaded:
    """A blocking object as an asyncio one: each of its methods runs in a thread."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, "close" if name == "aclose" else name)
        if inspect.isgeneratorfunction(value):
            return lambda *args, **options: _in_threads(value(*args, **options))
        return _method(value) if inspect.ismethod(value) else _wrapped(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Threaded) and bool(self._inner == other._inner)

    def __hash__(self) -> int:
        return hash(self._inner)

    def __repr__(self) -> str:
        return f"Threaded({self._inner!r})"

    def __aiter__(self) -> AsyncIterator[Any]:
        return _in_threads(iter(self._inner))

    async def __aenter__(self) -> Threaded:
        await asyncio.to_thread(self._inner.__enter__)
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.to_thread(self._inner.__exit__, *error)


def _maker(kind: type[Any]) -> Callable[..., Any]:
    return lambda *args, **options: Threaded(kind(*args, **options))


def _method(method: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **options: Any) -> Any:
        return _wrapped(await asyncio.to_thread(method, *args, **options))

    return call


def _wrapped(value: Any) -> Any:
    if isinstance(value, _BLOCKING):
        return Threaded(value)
    if type(value) in (list, tuple):
        return type(value)(_wrapped(item) for item in value)
    return value


async def _in_threads(items: Iterator[Any]) -> AsyncIterator[Any]:
    try:
        while (item := await asyncio.to_thread(next, items, _END)) is not _END:
            yield _wrapped(item)
    finally:
        closing: Any = items
        await asyncio.to_thread(closing.close)
