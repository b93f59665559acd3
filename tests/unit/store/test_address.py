from __future__ import annotations

import traceback

import pytest

from oxcart._store.address import Address, Kind
from oxcart._store.connection import Timeouts, node_options
from oxcart.errors import ConfigError


@pytest.mark.parametrize("url", ["redis://host", "rediss://u:p@host:1/2", "unix:///a/socket?db=3"])
def test_a_plain_url_is_left_to_the_client(url: str) -> None:
    assert Address(kind=Kind.SINGLE, url=url) == Address.parse(url)


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("redis+cluster://one", [("one", 6379)]),
        (
            "redis+cluster://one:7000,two,three:7002/",
            [("one", 7000), ("two", 6379), ("three", 7002)],
        ),
        ("redis+cluster://[::1]:7000,[fe80::2]/0", [("::1", 7000), ("fe80::2", 6379)]),
        ("redis+sentinel://one,two:5000/main", [("one", 26379), ("two", 5000)]),
    ],
)
def test_hosts_have_ports(url: str, hosts: list[tuple[str, int]]) -> None:
    assert tuple(hosts) == Address.parse(url).hosts


def test_a_cluster_has_one_login_and_the_clients_options() -> None:
    address = Address.parse(
        "rediss+cluster://me:p%40ss%2Fword@one:7000,two:7001?ssl_ca_certs=%2Fa%20b.pem"
    )
    options = node_options(address, Timeouts(connect="1s", command="2s"), 3, "name")

    assert Kind.CLUSTER is address.kind
    assert {
        "username": "me",
        "password": "p@ss/word",
        "ssl": True,
        "ssl_ca_certs": "/a b.pem",
        "socket_connect_timeout": 1,
        "socket_timeout": 5,
        "client_name": "name",
        "max_connections": 1_000,
        "protocol": 2,
    } == options


def test_sentinels_watch_a_master_with_a_database_and_have_a_login_of_their_own() -> None:
    address = Address.parse(
        "redis+sentinel://:secret@one,two/my%20main/4"
        "?sentinel_username=watch&sentinel_password=w%26&socket_keepalive=yes"
    )
    options = node_options(address, Timeouts())

    assert (Kind.SENTINEL, "my main") == (address.kind, address.master)
    assert (("username", "watch"), ("password", "w&")) == address.sentinel_login
    assert ("secret", 4, True) == (options["password"], options["db"], options["socket_keepalive"])
    assert not {"ssl", "username", "host", "sentinel_password"} & options.keys()


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("127.0.0.1:6379", "must start with redis://"),
        ("redis", "must start with redis://"),
        ("http://secret@host", "must start with redis://"),
        ("redis+cluster://:secret@host/1", "database 0 alone"),
        ("redis+cluster://:secret@", "needs hosts"),
        ("redis+cluster://:secret@host:port", "needs hosts"),
        ("redis+cluster://:secret@one,,two", "needs hosts"),
        ("redis+sentinel://:secret@host", "master's name"),
        ("redis+sentinel://:secret@host/main/1/2", "master's name"),
        ("redis+sentinel://:secret@host/main/first", "number of a database"),
        ("redis+sentinel://:secret@[::1/main", "cannot be read"),
    ],
)
def test_what_is_wrong_is_told_without_the_password(url: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint) as caught:
        Address.parse(url)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter22\u2100@host:1/0",  # what turns into "a/c" when it is normalized
        "rediss+cluster://:hunter22\u2100@one:1,two:1",
        "redis+sentinel://:hunter22\u2100@one:1/main",
        "redis://:hunter22/more@host:1/0",
        "redis+cluster://:hunter22@[::1",
    ],
)
def test_password_is_not_told_in_the_error_of_a_url_that_cannot_be_read(url: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Address.parse(url)

    told = "".join(traceback.format_exception(raised.value, limit=0))
    assert "hunter22" not in told
    assert f"({url.partition(':')[0]}://…) cannot be read" in told
