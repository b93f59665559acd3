"""A server on loopback that takes Sentry's envelopes, as Sentry would."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support import wait_until, wait_until_sync


class SentryServer:
    """What was reported.

    Attributes:
        raw: every envelope's bytes, unpacked.
        events: every event in them.
    """

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.events: list[dict[str, Any]] = []
        self.dsn = ""

    def take(self, body: bytes) -> None:
        """Take an envelope: a header, then items of a header and a payload, a line each."""
        self.raw.append(body)
        _, *lines = body.splitlines()
        for header, payload in zip(lines[::2], lines[1::2], strict=False):
            if json.loads(header)["type"] == "event":
                self.events.append(json.loads(payload))

    async def event(self, *, within: float = 20) -> dict[str, Any]:
        """Wait for the only event."""
        await wait_until(lambda: self.events, within=within, what="an event to be reported")
        (event,) = self.events
        return event

    def event_sync(self, *, within: float = 30) -> dict[str, Any]:
        """The blocking twin of ``event``."""
        wait_until_sync(lambda: self.events, within=within, what="an event to be reported")
        (event,) = self.events
        return event

    @property
    def everything(self) -> str:
        """All that was sent, as one text."""
        return b"\n".join(self.raw).decode()


@contextmanager
def sentry_server() -> Iterator[SentryServer]:
    """Run a server that takes what it is sent."""
    taken = SentryServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            taken.take(body)
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    taken.dsn = f"http://public@127.0.0.1:{server.server_port}/7"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield taken
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
