"""Asking a server who it is."""

from __future__ import annotations

import os
import signal
import socket
from datetime import timedelta

import pytest

from oxcart._store.probe import identify
from oxcart.embedded import EmbeddedValkey
from oxcart.errors import StoreTimeout, StoreUnavailable

SHORT = timedelta(milliseconds=200)


def test_server_says_who_it_is_on_both_ways(embedded: EmbeddedValkey) -> None:
    for url in (embedded.url, embedded.port_url):
        identity = identify(url)

        assert identity.pid == embedded.pid
        assert identity.directory == embedded.directory
        assert not identity.is_loading


def test_wrong_password_is_refused_and_not_repeated(embedded: EmbeddedValkey) -> None:
    place = embedded.port_url.split("@")[1]

    with pytest.raises(StoreUnavailable) as caught:
        identify(f"redis://:wrong-one@{place}")

    assert "wrong-one" not in str(caught.value)
    assert place.split("/")[0] in str(caught.value)


def test_nobody_there_is_said_with_the_place() -> None:
    with pytest.raises(StoreUnavailable, match=r"/no/such/place\.sock"):
        identify("unix://:secret@/no/such/place.sock?db=0")


def test_silence_is_a_timeout(embedded: EmbeddedValkey) -> None:
    os.kill(embedded.pid, signal.SIGSTOP)

    with pytest.raises(StoreTimeout):
        identify(embedded.url, limit=SHORT)

    os.kill(embedded.pid, signal.SIGCONT)


def test_something_else_on_the_port_is_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(StoreTimeout, match=f"127.0.0.1:{port}"):
            identify(f"redis://:secret@127.0.0.1:{port}/0", limit=SHORT)
