from __future__ import annotations

import ipaddress

import pytest

from oxcart.errors import ConfigError
from oxcart.webhooks.addresses import AddressPolicy
from oxcart.webhooks.endpoints import Endpoint, parse_endpoints
from oxcart.webhooks.errors import AddressRefused
from oxcart.webhooks.signatures import SigningSecret

PRODUCTION = AddressPolicy()
DEVELOPMENT = AddressPolicy(is_development=True)
SECRET = SigningSecret.generate()

REFUSED = [
    "0.0.0.0",  # noqa: S104  # refused, not listened on
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.1.2.3",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("text", REFUSED)
def test_address_that_is_not_public_is_refused(text: str) -> None:
    with pytest.raises(AddressRefused, match="refused as a receiver"):
        PRODUCTION.check("hooks.example", [ipaddress.ip_address(text)])


@pytest.mark.parametrize("text", ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111"])
def test_public_address_is_allowed(text: str) -> None:
    PRODUCTION.check("hooks.example", [ipaddress.ip_address(text)])


def test_one_private_address_among_public_ones_refuses_the_host() -> None:
    addresses = [ipaddress.ip_address(text) for text in ("8.8.8.8", "10.0.0.1")]

    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1 is a private address"):
        PRODUCTION.check("hooks.example", addresses)
    with pytest.raises(AddressRefused, match="no address"):
        PRODUCTION.check("hooks.example", [])


def test_development_may_reach_loopback_and_nothing_else() -> None:
    DEVELOPMENT.check("localhost", [ipaddress.ip_address("127.0.0.1")])
    DEVELOPMENT.check("localhost", [ipaddress.ip_address("::1")])
    for text in ("10.0.0.1", "169.254.169.254", "224.0.0.1"):
        with pytest.raises(AddressRefused):
            DEVELOPMENT.check("localhost", [ipaddress.ip_address(text)])


def test_listed_hosts_and_networks_may_be_private_but_never_metadata() -> None:
    policy = AddressPolicy.parse(["Hooks.Internal.", "10.2.0.0/16", "fd00:1::/32"])
    private = ipaddress.ip_address("192.168.1.1")

    policy.check("hooks.internal", [private])
    policy.check("other.internal", [ipaddress.ip_address("10.2.3.4")])
    policy.check("other.internal", [ipaddress.ip_address("::ffff:10.2.3.4")])
    policy.check("other.internal", [ipaddress.ip_address("fd00:1::5")])
    for host, text in (
        ("other.internal", "192.168.1.1"),
        ("hooks.internal", "169.254.169.254"),
        ("hooks.internal", "168.63.129.16"),
        ("hooks.internal", "fd00:ec2::254"),
        ("hooks.internal", "224.0.0.1"),
    ):
        with pytest.raises(AddressRefused):
            policy.check(host, [ipaddress.ip_address(text)])


@pytest.mark.parametrize("item", ["10.0.0.0/99", "a b", "http://x", "\x00"])
def test_item_that_is_not_a_host_or_network_is_refused(item: str) -> None:
    with pytest.raises(ConfigError):
        AddressPolicy.parse([item])


def test_plain_http_is_for_development_and_listed_hosts() -> None:
    def check(url: str, policy: AddressPolicy) -> None:
        Endpoint(name="site", url=url, secrets=(SECRET,)).check(policy)

    check("https://hooks.example/in", PRODUCTION)
    check("http://localhost:3000/in", DEVELOPMENT)
    check("http://site:3000/in", AddressPolicy.parse(["site"]))
    check("http://10.2.0.1/in", AddressPolicy.parse(["10.2.0.0/16"]))
    with pytest.raises(ConfigError, match="must be https:// in production"):
        check("http://hooks.example/in", PRODUCTION)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://hooks.example/",
        "gopher://hooks.example/",
        "https:///path",
        "https://user:password@hooks.example/",
        "https://hooks.example:99999/",
        "https://hooks.example/#part",
        "https://hooks.example/a\u202eb",
        "https://hooks.example/a b",
        "hooks.example",
    ],
)
def test_url_of_another_form_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="the URL of webhook endpoint 'site'") as caught:
        parse_endpoints([f"site={url}"], [f"site={SECRET.reveal()}"])
    assert "hooks.example" not in str(caught.value)


def test_endpoints_are_read_from_lists() -> None:
    other = SigningSecret.generate()
    endpoints = parse_endpoints(
        ["site=https://a.example/in?x=1", "audit=https://b.example"],
        [f"site={SECRET.reveal()}", f"site={other.reveal()}", f"audit={other.reveal()}"],
        ["audit=job.failed", "audit=export.failed"],
    )

    site, audit = endpoints
    assert (site.url, site.secrets) == ("https://a.example/in?x=1", (SECRET, other))
    assert [e.name for e in endpoints.wanting("export.completed")] == ["site"]
    assert [e.name for e in endpoints.wanting("export.failed")] == ["site", "audit"]
    assert [e.name for e in endpoints.wanting("job.failed")] == ["audit"]
    assert audit.secrets == (other,)


@pytest.mark.parametrize(
    ("urls", "secrets", "events", "match"),
    [
        (["site"], [], [], "name=endpoint"),
        (["Site=https://a.example"], [], [], "'Site' cannot be the name"),
        (["a=https://a.example", "a=https://b.example"], [], [], "two URLs"),
        (["a=https://a.example"], [], [], "'a' has no secret"),
        (["a=https://a.example"], ["b=whsec_x"], [], "'b' has a secret and is not the name"),
        (["a=https://a.example"], ["whsec_x"], [], "name=secret"),
        (["a=https://a.example"], [], ["a=*;"], "not a type of event"),
    ],
)
def test_lists_that_do_not_fit_are_refused(
    urls: list[str], secrets: list[str], events: list[str], match: str
) -> None:
    with pytest.raises(ConfigError, match=match):
        parse_endpoints(urls, secrets, events)
