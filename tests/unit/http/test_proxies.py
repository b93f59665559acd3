"""Only trusted proxies say where a request came from."""

from __future__ import annotations

from typing import Any

import pytest

from oxcart._settings.checks import PROGRAMS, examine
from oxcart.http.proxies import IS_PROXIED, TrustedProxies

TRUSTED = ("10.0.0.0/8", "2001:db8::7", "127.0.0.1")


def make_scope(peer: str | None, *headers: tuple[str, str]) -> dict[str, Any]:
    given = [("host", "api.internal"), *headers]
    return {
        "type": "http",
        "scheme": "http",
        "client": None if peer is None else (peer, 5),
        "headers": [(name.encode(), value.encode()) for name, value in given],
    }


@pytest.mark.parametrize(
    ("forwarded_for", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("127.0.0.1, 203.0.113.9, 10.1.2.3", "203.0.113.9"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("10.1.2.3, 10.1.2.4", "10.1.2.3"),
        ("unknown", "10.0.0.7"),
        ("203.0.113.9, unknown, 10.1.2.3", "10.1.2.3"),
        ("", "10.0.0.7"),
    ],
)
def test_client_is_the_last_address_that_is_no_trusted_proxy(
    forwarded_for: str, client: str
) -> None:
    scope = make_scope("10.0.0.7", ("x-forwarded-for", forwarded_for))

    TrustedProxies(TRUSTED).apply(scope)

    assert scope["client"][0] == client
    assert scope[IS_PROXIED] is True


def test_address_in_a_second_header_line_counts_after_the_first() -> None:
    scope = make_scope(
        "10.0.0.7", ("x-forwarded-for", "127.0.0.1"), ("x-forwarded-for", "203.0.113.9")
    )

    TrustedProxies(TRUSTED).apply(scope)

    assert scope["client"][0] == "203.0.113.9"


def test_scheme_and_host_come_from_the_nearest_proxy() -> None:
    scope = make_scope(
        "::ffff:10.0.0.7",
        ("x-forwarded-proto", "http, https"),
        ("x-forwarded-host", "evil.example, api.club.example"),
    )

    TrustedProxies(TRUSTED).apply(scope)

    assert scope["scheme"] == "https"
    assert [value for name, value in scope["headers"] if name == b"host"] == [b"api.club.example"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-forwarded-proto", "javascript"),
        ("x-forwarded-host", "a b"),
        ("x-forwarded-host", "a/b"),
        ("x-forwarded-host", "user@host"),
        ("x-forwarded-host", ""),
    ],
)
def test_value_that_is_not_valid_changes_nothing(name: str, value: str) -> None:
    scope = make_scope("10.0.0.7", (name, value))

    TrustedProxies(TRUSTED).apply(scope)

    assert (scope["scheme"], scope["headers"][0]) == ("http", (b"host", b"api.internal"))


@pytest.mark.parametrize("peer", ["203.0.113.7", "11.0.0.7", "2001:db8::8", "testclient", None])
def test_headers_of_others_change_nothing(peer: str | None) -> None:
    headers = (
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
    )
    scope = make_scope(peer, *headers)

    TrustedProxies(TRUSTED).apply(scope)

    assert scope == make_scope(peer, *headers)


def test_without_trusted_proxies_headers_change_nothing() -> None:
    scope = make_scope("127.0.0.1", ("x-forwarded-for", "203.0.113.9"))

    TrustedProxies().apply(scope)

    assert scope["client"][0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OXCART_TRUSTED_PROXIES", "nginx"),
        ("OXCART_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("OXCART_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("OXCART_CORS_ORIGINS", "*"),
        ("OXCART_CORS_ORIGINS", "null"),
        ("OXCART_CORS_ORIGINS", "https://*.club.example"),
        ("OXCART_CORS_ORIGINS", "https://club.example/"),
        ("OXCART_CORS_ORIGINS", "https://club.example:443"),
        ("OXCART_CORS_ORIGINS", "HTTPS://Club.example"),
        ("OXCART_CORS_ORIGINS", "club.example"),
        ("OXCART_CORS_ORIGINS", "https://club.example,http://"),
    ],
)
def test_setting_that_cannot_be_meant_stops_the_start(variable: str, value: str) -> None:
    findings = examine(PROGRAMS["api"], {variable: value})

    assert [problem.variable for problem in findings.problems] == [variable]


def test_good_settings_are_taken() -> None:
    environ = {
        "OXCART_TRUSTED_PROXIES": "10.0.0.7, 10.1.0.0/16, 2001:db8::/32",
        "OXCART_CORS_ORIGINS": "https://club.example, http://localhost:3000, https://[::1]:8443",
    }

    assert examine(PROGRAMS["api"], environ).problems == ()
