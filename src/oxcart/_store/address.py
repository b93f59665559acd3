"""What a server's URL says: one server, a cluster, or Sentinels that know the master."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NoReturn
from urllib.parse import SplitResult, parse_qs, parse_qsl, unquote, urlencode, urlsplit

from oxcart.errors import ConfigError

SENTINEL_PORT = 26379
SERVER_PORT = 6379
_ENCODE = "a password with /, ?, # or @ in it needs them percent-encoded, such as %2F for /"
_SENTINEL_LOGIN = {"sentinel_username": "username", "sentinel_password": "password"}


class Kind(Enum):
    """How a server is reached."""

    SINGLE = "single"
    CLUSTER = "cluster"
    SENTINEL = "sentinel"


_KINDS = {
    "redis": Kind.SINGLE,
    "rediss": Kind.SINGLE,
    "unix": Kind.SINGLE,
    "redis+cluster": Kind.CLUSTER,
    "rediss+cluster": Kind.CLUSTER,
    "redis+sentinel": Kind.SENTINEL,
    "rediss+sentinel": Kind.SENTINEL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server's URL, taken apart.

    Attributes:
        kind: how the server is reached.
        url: the plain URL of a single server; of the others the part that says how to speak to any
            of their servers: scheme, credentials, database and options, with no host that counts.
        hosts: the nodes to ask first, or the Sentinels; empty for a single server.
        master: the name by which Sentinel knows the master.
        sentinel_login: the Sentinels' own credentials, by the client's names for them.
    """

    kind: Kind
    url: str
    hosts: tuple[tuple[str, int], ...] = ()
    master: str = ""
    sentinel_login: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, url: str) -> Address:
        """Take a URL apart.

        Raises:
            ConfigError: it is none of the forms that are known. The URL itself is not told: it may
                hold a password.
        """
        kind = kind_of(url)
        parts = _split(url, kind)
        if kind is Kind.SINGLE:
            return cls(kind=kind, url=url)
        path = [part for part in parts.path.split("/") if part]
        if kind is Kind.CLUSTER:
            return _cluster(parts, path)
        return _sentinel(parts, path)


def check_redis_url(url: str) -> None:
    """Refuse a server's URL that clients would read in another way than it was meant.

    Raises:
        ConfigError: what is wrong; the URL itself is not in the text.
    """
    if Address.parse(url).kind is not Kind.SINGLE:
        return
    parts = urlsplit(url)
    is_cut = "@" in f"{parts.path}{parts.query}{parts.fragment}"
    databases = parse_qs(parts.query, keep_blank_values=True).get("db", [])
    if parts.scheme != "unix":
        databases.append(parts.path.removeprefix("/"))
    for database in databases:
        if database and not (database.isascii() and database.isdecimal()):
            if is_cut:
                raise ConfigError(f"what follows the host is no number of a database: {_ENCODE}")
            raise ConfigError(
                f"the database {database!r} is no number; it wants the form redis://host:6379/0"
            )


def _split(url: str, kind: Kind) -> SplitResult:
    try:
        parts = urlsplit(url)
        if kind is Kind.SINGLE:  # the others have several hosts, each with a port
            _ = parts.port
    except ValueError:
        # Its text repeats what it could not read, such as a part of a password.
        raise ConfigError(
            f"the Redis URL ({url.partition('://')[0]}://…) cannot be read; it wants "
            "the form redis://:password@host:6379/0, and a password with /, ?, #, @ or anything "
            "beyond ASCII in it needs that percent-encoded, such as %2F for /"
        ) from None
    return parts


def _cluster(parts: SplitResult, path: list[str]) -> Address:
    if path not in ([], ["0"]):
        _refuse(parts.scheme, "a cluster has database 0 alone, so nothing may follow the hosts")
    return Address(
        kind=Kind.CLUSTER,
        url=_template(parts, "", parse_qsl(parts.query)),
        hosts=_hosts(parts, SERVER_PORT),
    )


def _sentinel(parts: SplitResult, path: list[str]) -> Address:
    match path:
        case [master]:
            database = "0"
        case [master, database]:
            pass
        case _:
            _refuse(parts.scheme, "after the hosts comes the master's name, as in host:26379/main")
    if not database.isdecimal():
        _refuse(parts.scheme, "after the master's name comes the number of a database, or nothing")
    query = parse_qsl(parts.query)
    return Address(
        kind=Kind.SENTINEL,
        url=_template(parts, database, [pair for pair in query if pair[0] not in _SENTINEL_LOGIN]),
        hosts=_hosts(parts, SENTINEL_PORT),
        master=unquote(master),
        sentinel_login=tuple(
            (_SENTINEL_LOGIN[name], value) for name, value in query if name in _SENTINEL_LOGIN
        ),
    )


def _template(parts: SplitResult, database: str, options: list[tuple[str, str]]) -> str:
    """The URL as the client takes it, with a host that stands for all of them."""
    login, at, _ = parts.netloc.rpartition("@")
    query = f"?{urlencode(options)}" if options else ""
    return f"{parts.scheme.partition('+')[0]}://{login}{at}any/{database}{query}"


def kind_of(url: str) -> Kind:
    """How the server of a URL is reached, by its scheme.

    Raises:
        ConfigError: the scheme is not known.
    """
    try:
        kind = _KINDS.get(url.partition("://")[0]) if "://" in url else None
    except (TypeError, AttributeError):  # no text
        kind = None
    if kind is None:
        raise ConfigError(
            "the Redis URL must start with redis://, rediss:// or unix://, with redis+cluster:// "
            "or rediss+cluster://, or with redis+sentinel:// or rediss+sentinel://"
        )
    return kind


def _hosts(parts: SplitResult, default_port: int) -> tuple[tuple[str, int], ...]:
    """Read ``host:port,host2:port2``; a host may be an IPv6 address in brackets."""
    hosts = []
    for item in parts.netloc.rpartition("@")[2].split(","):
        name, bracket, rest = item.rpartition("]")
        if bracket:
            host, port = name.removeprefix("["), rest.removeprefix(":")
        else:
            host, _, port = item.partition(":")
        if not host or not (port or str(default_port)).isdecimal():
            _refuse(parts.scheme, "it needs hosts in the form host:port,host2:port2")
        hosts.append((host, int(port or default_port)))
    return tuple(hosts)


def _refuse(scheme: str, why: str) -> NoReturn:
    raise ConfigError(f"the Redis URL ({scheme}://…) is not right: {why}")
