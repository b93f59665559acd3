"""A real SMTP server (aiosmtpd) that can be told to misbehave at any step of the dialogue."""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

GREETING = "GREETING"
MID_CONTENT = "MID_CONTENT"
"""Between the server's go-ahead and the final dot."""
CONTENT = "CONTENT"
"""After the final dot."""

DROP = "drop the connection"
HANG = "never answer"
LATER = "answer well once the event `later` is set"


@dataclass(frozen=True, slots=True)
class Received:
    """A mail that the server accepted."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    connection: int
    is_encrypted: bool
    login: str | None

    @property
    def recipient(self) -> str:
        (recipient,) = self.recipients
        return recipient


@dataclass(slots=True)
class FaultyServer:
    """Listens on loopback while ``async with`` lasts.

    ``fault(step, action, …)`` sets what happens the next times that the dialogue comes to a step:
    an SMTP reply in place of the right one, ``DROP``, ``HANG`` or ``LATER``; after that, all is
    well again.

    A server may have limits, as real ones do: ``admits`` so many connections, ``takes`` so many
    mails at a time. Mails wait for ``hold`` before they are accepted: an event, or a barrier at
    which so many have to meet.
    """

    tls_context: ssl.SSLContext | None = None
    is_implicit_tls: bool = False
    login: tuple[str, str] | None = None
    has_utf8: bool = True
    host: str = "127.0.0.1"
    port: int = 0
    messages: list[Received] = field(default_factory=list)
    commands: list[tuple[int, str]] = field(default_factory=list)
    """Every command with the number of its connection."""
    connection_count: int = 0
    admits: int | None = None
    takes: int | None = None
    hold: asyncio.Event | asyncio.Barrier | None = None
    later: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: set[int] = field(default_factory=set)
    """Connections whose mail is there and not accepted yet."""
    most_under_way: int = 0
    admitted: set[int] = field(default_factory=set)
    sessions: set[_FaultySession] = field(default_factory=set)
    faults: dict[str, deque[str]] = field(default_factory=lambda: defaultdict(deque))
    always: dict[str, str] = field(default_factory=dict)
    """What happens each time that the dialogue comes to a step."""
    _server: asyncio.Server | None = None

    def fault(self, step: str, *actions: str) -> None:
        self.faults[step].extend(actions)

    def next_fault(self, step: str) -> str | None:
        return self.faults[step].popleft() if self.faults[step] else self.always.get(step)

    def commands_of(self, connection: int) -> list[str]:
        return [command for number, command in self.commands if number == connection]

    def drop_connections(self) -> None:
        for session in tuple(self.sessions):
            session.drop()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _FaultySession(self),
            self.host,
            self.port,
            ssl=self.tls_context if self.is_implicit_tls else None,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.drop_connections()
        await self._server.wait_closed()
        await asyncio.sleep(0)


class _Handler:
    def __init__(self, owner: FaultyServer) -> None:
        self._owner = owner

    async def handle_DATA(  # noqa: N802  # the name is aiosmtpd's
        self, server: _FaultySession, session: Session, envelope: Envelope
    ) -> str:
        under_way = self._owner.under_way
        under_way.add(server.number)
        self._owner.most_under_way = max(self._owner.most_under_way, len(under_way))
        try:
            if self._owner.takes is not None and len(under_way) > self._owner.takes:
                return "432 4.3.2 Concurrent connections limit exceeded"
            if self._owner.hold is not None:
                await self._owner.hold.wait()
            answer = await server.misbehave(CONTENT)
        finally:
            under_way.discard(server.number)
        if answer is not None:
            return answer
        assert isinstance(envelope.original_content, bytes)
        assert envelope.mail_from is not None
        transport = server.transport
        assert transport is not None
        self._owner.messages.append(
            Received(
                sender=envelope.mail_from,
                recipients=tuple(envelope.rcpt_tos),
                content=envelope.original_content,
                connection=server.number,
                is_encrypted=transport.get_extra_info("sslcontext") is not None,
                login=server.logged_in_as,
            )
        )
        return f"250 2.0.0 Ok: queued as {len(self._owner.messages)}"


class _FaultySession(SMTP):
    """One connection."""

    def __init__(self, owner: FaultyServer) -> None:
        self.owner = owner
        self.number = 0
        self.logged_in_as: str | None = None
        is_upgradable = not owner.is_implicit_tls
        super().__init__(
            _Handler(owner),
            hostname="localhost",
            enable_SMTPUTF8=owner.has_utf8,
            tls_context=owner.tls_context if is_upgradable else None,
            auth_require_tls=is_upgradable and owner.tls_context is not None,
            auth_exclude_mechanism=() if owner.login else ("PLAIN", "LOGIN"),
            authenticator=self._check_login,
        )
        for command, method in self._smtp_methods.items():
            self._smtp_methods[command] = self._with_faults(command, method)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.number == 0:  # STARTTLS makes the connection a second time
            self.owner.connection_count += 1
            self.number = self.owner.connection_count
            if self.owner.admits is None or len(self.owner.admitted) < self.owner.admits:
                self.owner.admitted.add(self.number)
        self.owner.sessions.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.owner.sessions.discard(self)
        self.owner.admitted.discard(self.number)
        super().connection_lost(error)

    def drop(self) -> None:
        if self.transport is not None:
            self.transport.close()

    async def misbehave(self, step: str) -> str | None:
        """Do what is set for a step; gives the reply to send, if one is set."""
        action = self.owner.next_fault(step)
        if action in (DROP, HANG):
            if action == DROP:
                self.drop()
            await asyncio.Event().wait()  # until the end of the connection cancels it
        if action == LATER:
            await self.owner.later.wait()
            return None
        return action

    async def push(self, status: Any) -> None:
        if self.session is not None and status == f"220 {self.hostname} {self.__ident__}":
            status = await self.misbehave(GREETING) or status
            if self.number not in self.owner.admitted:
                status = "421 4.7.0 too many connections from your address"
        await super().push(status)

    def _with_faults(
        self, command: str, method: Callable[[str | None], Awaitable[None]]
    ) -> Callable[[str | None], Awaitable[None]]:
        async def run(arg: str | None) -> None:
            self.owner.commands.append((self.number, command))
            answer = await self.misbehave(command)
            if answer is not None:
                await self.push(answer)
                return
            if command == "DATA" and self.owner.faults[MID_CONTENT]:
                await self.push("354 Go ahead")
                await self.misbehave(MID_CONTENT)
            await method(arg)

        return run

    def _check_login(
        self, server: Any, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        user, password = data.login.decode(), data.password.decode()
        self.logged_in_as = user if (user, password) == self.owner.login else None
        return AuthResult(success=self.logged_in_as is not None, handled=False, auth_data=data)
