"""Sends one signed message to one endpoint, over a connection to an address that was checked."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpcore2

from oxcart._version import __version__
from oxcart.errors import ConfigError
from oxcart.webhooks.addresses import Address, AddressPolicy
from oxcart.webhooks.errors import AddressRefused
from oxcart.webhooks.signatures import signed_headers

if TYPE_CHECKING:
    from oxcart.webhooks.endpoints import Endpoint

TIMEOUT_SECONDS = 15.0
"""How long one attempt may take: resolving, connecting, TLS, sending and the answer."""
MAX_ANSWER_BYTES = 4_096
"""How much of an answer is read and kept; the rest is not read."""
MAX_ERROR_CHARS = 500
MAX_RETRY_AFTER_SECONDS = 86_400
SUCCESS = range(200, 300)
GONE = 410

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one attempt came to.

    Attributes:
        status: the HTTP status, or ``None`` without an answer.
        error: why there is no answer, or ``None``.
        text: the beginning of the answer's body.
        duration_ms: how long the attempt took.
        retry_after_seconds: how long the receiver asks to wait, or ``None``.
    """

    status: int | None = None
    error: str | None = None
    text: str = ""
    duration_ms: int = 0
    retry_after_seconds: float | None = None

    @property
    def is_success(self) -> bool:
        """Whether the receiver took the message."""
        return self.status in SUCCESS

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants no further attempt."""
        return self.status == GONE

    @property
    def reason(self) -> str:
        """What the attempt came to, in a few words."""
        if self.error is not None:
            return self.error
        return f"the receiver answered with status {self.status}"


class WebhookClient:
    """Posts messages to endpoints.

    Redirects are not followed, proxies of the environment are not used, and every attempt has a
    connection of its own.

    Args:
        policy: which addresses may be reached.
        timeout_seconds: how long one attempt may take.
        resolve: looks a host name up; by default the system does.
        ssl_context: verifies the receivers' certificates; by default the system's authorities do,
            or those of ``SSL_CERT_FILE``.
        now: seconds since 1970.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        resolve: Resolve | None = None,
        ssl_context: ssl.SSLContext | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._policy = policy
        self._timeout_seconds = timeout_seconds
        self._backend = _CheckedBackend(policy, resolve or resolve_host)
        self._ssl_context = ssl_context
        self._now = now

    async def send(self, endpoint: Endpoint, message_id: str, body: bytes) -> Answer:
        """Sign a message with the endpoint's secrets and post it, once.

        Returns:
            The answer, or why there is none; whatever the network does is not raised.
        """
        started = time.monotonic()
        try:
            endpoint.check(self._policy)
            async with asyncio.timeout(self._timeout_seconds):
                answer = await self._post(endpoint, message_id, body)
        except TimeoutError:
            answer = Answer(error=f"no answer within {self._timeout_seconds:g} s")
        except (AddressRefused, ConfigError) as error:
            answer = Answer(error=str(error)[:MAX_ERROR_CHARS])
        except (httpcore2.TimeoutException, httpcore2.NetworkError) as error:
            answer = Answer(error=_network_error(error))
        except (httpcore2.ProtocolError, httpcore2.UnsupportedProtocol):
            answer = Answer(error="the answer is not valid HTTP")
        except OSError as error:
            answer = Answer(error=_network_error(error))
        return Answer(
            status=answer.status,
            error=answer.error,
            text=answer.text,
            retry_after_seconds=answer.retry_after_seconds,
            duration_ms=round((time.monotonic() - started) * 1000),
        )

    async def _post(self, endpoint: Endpoint, message_id: str, body: bytes) -> Answer:
        headers = {
            "content-type": "application/json",
            "user-agent": f"oxcart/{__version__}",
            "connection": "close",
            **signed_headers(endpoint.secrets, message_id, int(self._now()), body),
        }
        if self._ssl_context is None:
            self._ssl_context = httpcore2.default_ssl_context()
        pool = httpcore2.AsyncConnectionPool(
            ssl_context=self._ssl_context, network_backend=self._backend
        )
        async with (
            pool,
            pool.stream(
                "POST", endpoint.url, headers=list(headers.items()), content=body
            ) as response,
        ):
            found = {name.lower(): value for name, value in response.headers}
            return Answer(
                status=response.status,
                text=await _beginning(response),
                retry_after_seconds=_retry_after(found.get(b"retry-after"), self._now()),
            )


async def resolve_host(host: str, port: int) -> Sequence[Address]:
    """Look up all addresses of a host name.

    Raises:
        OSError: the name cannot be resolved.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # The scope of a link-local address follows a percent sign.
    texts = dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found)
    return [ipaddress.ip_address(text) for text in texts]


class _CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that the policy allows; the name stays what TLS verifies."""

    def __init__(self, policy: AddressPolicy, resolve: Resolve) -> None:
        self._policy = policy
        self._resolve = resolve
        self._backend = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        # Resolved once: the addresses that are checked are the ones that are connected to.
        addresses = await self._resolve(host, port)
        self._policy.check(host, addresses)
        problem: Exception = OSError("no address")
        for address in addresses:
            try:
                return await self._backend.connect_tcp(
                    str(address),
                    port,
                    timeout=timeout,
                    local_address=local_address,
                    socket_options=socket_options,
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                problem = error
        raise problem

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's signature
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        raise OSError("webhooks are not sent over Unix sockets")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _beginning(response: httpcore2.Response) -> str:
    """Read the first bytes of an answer and leave the rest."""
    kept = b""
    async for chunk in response.aiter_stream():
        kept += chunk
        if len(kept) >= MAX_ANSWER_BYTES:
            break

    text = kept[:MAX_ANSWER_BYTES].decode("utf-8", "replace")
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


def _retry_after(value: bytes | None, now: float) -> float | None:
    if value is None:
        return None
    text = value.decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:9])
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, OverflowError, TypeError):
            return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def _network_error(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return f"no connection: {_CONTROLS.sub(' ', text)}"[:MAX_ERROR_CHARS]
