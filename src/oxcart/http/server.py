"""Running the application with uvicorn inside a program that has other things to run.

The caller's task group owns the server, and the caller decides about signals: ``serve`` installs no
handlers. It returns after ``stop`` was set and the requests under way were answered; cancelling it
does the same, bounded by the same grace.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

import uvicorn

from oxcart.errors import ConfigError
from oxcart.http.acceptor import Acceptor
from oxcart.http.connections import ConnectionLimits, ConnectionTable
from oxcart.http.protocol import GuardedProtocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp

DEFAULT_GRACE_SECONDS = 10
_BACKLOG = 2048


async def serve(
    app: ASGIApp,
    host: str,
    port: int,
    *,
    ready: Callable[[str], None] | None = None,
    stop: asyncio.Event | None = None,
    before_stop: Callable[[], Awaitable[None]] | None = None,
    grace_seconds: int = DEFAULT_GRACE_SECONDS,
    limits: ConnectionLimits | None = None,
) -> None:
    """Serve an application until ``stop`` is set.

    Args:
        app: the application.
        host: address or name to listen on.
        port: port to listen on; 0 takes a free one.
        ready: called once with the server's URL when connections are accepted.
        stop: ends the server gracefully when set; without it, cancel the task.
        before_stop: called when the server begins to stop, before it waits for the requests under
            way; ends those that would not end by themselves, as streams of events.
        grace_seconds: how long requests under way may take to finish.
        limits: how many connections are taken, and how long each may wait or stall.

    Raises:
        ConfigError: the address cannot be listened on, with the system's reason.
    """
    listener = listen(host, port)
    with contextlib.closing(listener):
        async with asyncio.TaskGroup() as tasks:
            server = _Server(_config(app, grace_seconds), tasks, listener, limits, before_stop)
            watcher = tasks.create_task(server.exit_when(stop or asyncio.Event()))
            await server.run_until_stopped(ready)
            watcher.cancel()


class _Server(uvicorn.Server):
    """A uvicorn server without signal handlers, which accepts connections by an ``Acceptor``."""

    def __init__(
        self,
        config: uvicorn.Config,
        tasks: asyncio.TaskGroup,
        listener: socket.socket,
        limits: ConnectionLimits | None,
        before_stop: Callable[[], Awaitable[None]] | None,
    ) -> None:
        super().__init__(config)
        self._before_stop = before_stop
        self._tasks = tasks
        self._url = _url(listener)
        self._table = ConnectionTable(limits or ConnectionLimits())
        self._acceptor = Acceptor(listener, self._protocol, self._table)
        self._ready: Callable[[str], None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._acceptor.start(self._tasks)
        self.servers = [self._acceptor]  # type: ignore[list-item]  # only closed and waited for
        self.started = True
        if self._ready:
            self._ready(self._url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._before_stop:
            await self._before_stop()
        await super().shutdown(sockets)

    async def exit_when(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self.should_exit = True

    async def run_until_stopped(self, ready: Callable[[str], None] | None) -> None:
        self._ready = ready
        try:
            await self.serve()
        except asyncio.CancelledError:
            if self.started:
                await self.shutdown()
            raise

    def _protocol(self) -> GuardedProtocol:
        return GuardedProtocol(self.config, self.server_state, self._table)


def _config(app: ASGIApp, grace_seconds: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",  # the system is opened and closed by the caller
        log_config=None,
        log_level="warning",  # the caller says when it serves; of uvicorn only trouble is news
        access_log=False,  # the edge writes one line a request, without queries
        server_header=False,
        proxy_headers=False,  # the peer's address decides who is local: never a header's word
        timeout_graceful_shutdown=grace_seconds,
    )


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket; whoever calls closes it.

    Raises:
        ConfigError: the address cannot be listened on, with the system's reason.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; "
            "set OXCART_API_HOST and OXCART_API_PORT, or --port, to an address that is free"
        ) from error


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
