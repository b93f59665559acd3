"""The receivers of webhooks, as the settings name them."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from oxcart.errors import ConfigError
from oxcart.webhooks.addresses import AddressPolicy
from oxcart.webhooks.signatures import Signer, parse_signer

_T = TypeVar("_T")

DEFAULT_EVENTS = ("export.*",)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_EVENT = re.compile(r"[a-z0-9_*]+(\.[a-z0-9_*]+)*")
_NOT_IN_A_URL = re.compile(r"[\s\x00-\x20\x7f-\xff\"<>\\^`{|}]|[^\x00-\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A receiver of webhooks.

    Attributes:
        name: its name in the settings, the log and the commands.
        url: where messages are posted to.
        secrets: the secrets that every message is signed with, each by a signature of its own.
        events: which events it gets, as patterns such as ``export.*``.
    """

    name: str
    url: str
    secrets: tuple[Signer, ...]
    events: tuple[str, ...] = DEFAULT_EVENTS

    def wants(self, event_type: str) -> bool:
        """Whether the endpoint gets events of a type."""
        return any(fnmatch.fnmatchcase(event_type, pattern) for pattern in self.events)

    def check(self, policy: AddressPolicy) -> None:
        """Accept the endpoint's URL, as far as that is possible without resolving its host.

        Raises:
            ConfigError: naming the endpoint and what its URL must be; the URL is not repeated.
        """
        parts = parse_url(self.name, self.url)
        host = parts.hostname or ""
        if parts.scheme == "http" and not (policy.is_development or policy.is_listed(host)):
            raise ConfigError(
                f"the URL of webhook endpoint {self.name!r} is http://; it must be https:// in "
                "production, unless its host is an internal one that is listed as allowed"
            )


class Endpoints:
    """All receivers of webhooks, by name.

    Args:
        endpoints: the receivers.

    Raises:
        ConfigError: two have the same name.
    """

    def __init__(self, endpoints: Iterable[Endpoint] = ()) -> None:
        self._by_name: dict[str, Endpoint] = {}
        for endpoint in endpoints:
            if endpoint.name in self._by_name:
                raise ConfigError(f"there are two webhook endpoints named {endpoint.name!r}")
            self._by_name[endpoint.name] = endpoint

    def __iter__(self) -> Iterator[Endpoint]:
        """Iterate over the endpoints."""
        return iter(self._by_name.values())

    def __len__(self) -> int:
        """How many endpoints there are."""
        return len(self._by_name)

    def get(self, name: str) -> Endpoint | None:
        """Return the endpoint of a name, or ``None``."""
        return self._by_name.get(name)

    def wanting(self, event_type: str) -> list[Endpoint]:
        """Return the endpoints that get events of a type."""
        return [endpoint for endpoint in self if endpoint.wants(event_type)]


def parse_endpoints(
    urls: Sequence[str], secrets: Sequence[str], events: Sequence[str] = ()
) -> Endpoints:
    """Read the endpoints from lists of ``name=value``.

    Args:
        urls: ``name=url``, one for each endpoint.
        secrets: ``name=whsec_…``; several of one name are used together.
        events: ``name=pattern``; several of one name add up; without one ``export.*``.

    Raises:
        ConfigError: an item is malformed, names no endpoint, or an endpoint has no secret.
    """
    named: dict[str, str] = {}
    for name, url in _pairs(urls, "endpoint"):
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{name!r} cannot be the name of a webhook endpoint: it must be 1 to 40 of a-z, "
                "0-9, - and _"
            )
        if name in named:
            raise ConfigError(f"webhook endpoint {name!r} has two URLs; give each its own name")
        parse_url(name, url)
        named[name] = url
    found_secrets: dict[str, list[Signer]] = {name: [] for name in named}
    for name, text in _pairs(secrets, "secret"):
        _of(found_secrets, name, "a secret").append(parse_signer(text))
    found_events: dict[str, list[str]] = {name: [] for name in named}
    for name, pattern in _pairs(events, "event"):
        if not _EVENT.fullmatch(pattern):
            raise ConfigError(
                f"{pattern!r} is not a type of event such as export.completed or export.*"
            )
        _of(found_events, name, "an event").append(pattern)
    missing = [name for name, given in found_secrets.items() if not given]
    if missing:
        raise ConfigError(f"webhook endpoint {missing[0]!r} has no secret to sign with")
    return Endpoints(
        Endpoint(
            name=name,
            url=url,
            secrets=tuple(found_secrets[name]),
            events=tuple(found_events[name]) or DEFAULT_EVENTS,
        )
        for name, url in named.items()
    )


def parse_url(name: str, url: str) -> SplitResult:
    """Take the URL of an endpoint apart.

    Raises:
        ConfigError: naming the endpoint; the URL, which may hold a secret, is not repeated.
    """
    wanted = f"the URL of webhook endpoint {name!r} must be https:// (or http://) with a host"
    if _NOT_IN_A_URL.search(url):
        raise ConfigError(f"{wanted}; it has characters that no URL may have")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"{wanted}; its port or host is not valid") from error
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        raise ConfigError(wanted)
    if parts.username is not None or parts.password is not None:
        raise ConfigError(f"{wanted}; it has a user name or password, which are not supported")
    if parts.fragment:
        raise ConfigError(f"{wanted} and without a fragment")
    return parts


def _pairs(items: Sequence[str], what: str) -> Iterator[tuple[str, str]]:
    for item in items:
        name, separator, value = item.partition("=")
        if not separator or not name.strip() or not value.strip():
            # The item may be a secret, so it is not repeated.
            raise ConfigError(f"the {what} of a webhook endpoint must be written as name={what}")
        yield name.strip(), value.strip()


def _of(found: dict[str, list[_T]], name: str, what: str) -> list[_T]:
    if name not in found:
        known = ", ".join(sorted(found)) or "none"
        raise ConfigError(
            f"{name!r} has {what} and is not the name of a webhook endpoint; there are: {known}"
        )
    return found[name]
