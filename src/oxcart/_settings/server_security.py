"""Finds servers that are reached over a network without TLS or without a password."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from oxcart._settings.values import Problem

if TYPE_CHECKING:
    from oxcart.settings import Settings

_ENCRYPTED = ("require", "verify-ca", "verify-full")


def insecure_servers(
    settings: Settings, environ: Mapping[str, str], *, redis: bool, database: bool
) -> Iterator[Problem]:
    """Each way to a server of production that others on the network could use or read.

    Loopback addresses and Unix domain sockets are not a network. A database without a password in
    its URL is not judged: a password file, a certificate or the server's rules may stand for it.

    Args:
        settings: where the servers are.
        environ: the environment, for libpq's own variables.
        redis: whether the program uses Redis.
        database: whether the program uses the database.
    """
    if not settings.is_production:
        return
    if redis and settings.broker == "redis" and settings.redis_url is not None:
        yield from _redis(settings.redis_url)
    if database and settings.database_url is not None:
        yield from _database(settings.database_url, environ)


def _redis(url: str) -> Iterator[Problem]:
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    if parts.scheme == "unix" or _are_local(hosts):
        return
    if not parts.scheme.startswith("rediss"):
        yield Problem(
            "REDIS_URL",
            "names a server on the network without TLS: jobs and the password can be read and "
            "changed on the way; it wants rediss://",
        )
    if not login.partition(":")[2] and "password" not in parse_qs(parts.query):
        yield Problem(
            "REDIS_URL",
            "has no password: everyone who reaches the server can read, add and delete jobs; it "
            "wants the form rediss://user:password@host:6379/0",
        )


def _database(url: str, environ: Mapping[str, str]) -> Iterator[Problem]:
    parts = urlsplit(url)
    if not parts.scheme.startswith("postgres"):
        return
    query = parse_qs(parts.query)
    hosts = query.get("host", [parts.netloc.rpartition("@")[2]])[-1]
    mode = query.get("sslmode", [environ.get("PGSSLMODE", "")])[-1]
    if mode not in _ENCRYPTED and not hosts.startswith("/") and not _are_local(hosts):
        yield Problem(
            "DATABASE_URL",
            "names a server on the network and does not require TLS: rows and the password can "
            "be read and changed on the way; it wants sslmode=verify-full, or require",
        )


def _are_local(hosts: str) -> bool:
    """Whether all of ``host:port,host2:port2`` are this machine; no host is."""
    from oxcart._settings.rules import is_loopback

    names = (item if item.endswith("]") else item.rpartition(":")[0] or item for item in
             hosts.split(","))  # fmt: skip
    return all(not name or is_loopback(name) for name in names)
