from __future__ import annotations

import pytest
from tests.unit.mail.builders import make_letterhead

from oxcart.errors import ConfigError, PayloadError
from oxcart.mail.letterhead import Letterhead
from oxcart.settings import Settings


def test_default_settings_give_the_contracts_letterhead() -> None:
    letterhead = Letterhead.from_settings(Settings())

    assert letterhead == make_letterhead(app_url="http://localhost:3000")


@pytest.mark.parametrize(
    ("sender", "name", "address"),
    [
        ('"Cofactor Club" <no-reply@cofactor.world>', "Cofactor Club", "no-reply@cofactor.world"),
        ("Cofactor Club <no-reply@cofactor.world>", "Cofactor Club", "no-reply@cofactor.world"),
        ("no-reply@cofactor.world", "", "no-reply@cofactor.world"),
        ('"Bücher, Inc." <a@bücher.example>', "Bücher, Inc.", "a@xn--bcher-kva.example"),
        ("root@intranet", "", "root@intranet"),
    ],
)
def test_sender_is_read(sender: str, name: str, address: str) -> None:
    letterhead = make_letterhead(sender=sender)

    assert letterhead.sender_address.display_name == name
    assert letterhead.sender_address.addr_spec == address
    assert letterhead.domain == address.split("@")[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"sender": ""},
        {"sender": "nobody"},
        {"sender": "a@x.example, b@x.example"},
        {"sender": '"A\r\nBcc: c@x.example" <a@x.example>'},
        {"app_name": ""},
        {"app_name": "A\nB"},
        {"app_url": "cofactor.example"},
        {"app_url": "javascript:alert(1)"},
        {"app_url": "ftp://cofactor.example"},
        {"app_url": "https://"},
        {"app_url": "https://[oops"},
        {"app_url": "https://cofactor.example/?a=1"},
        {"app_url": "https://cofactor.example/#a"},
        {"app_url": "https://cofactor.example/a b"},
        {"app_url": 'https://cofactor.example/"'},
        {"app_url": "https://cofactor.example\n"},
    ],
)
def test_what_cannot_work_is_refused_at_the_start(changes: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        make_letterhead(**changes)


@pytest.mark.parametrize("app_url", ["https://x.example", "https://x.example/"])
def test_path_is_joined_without_a_double_slash(app_url: str) -> None:
    letterhead = make_letterhead(app_url=app_url)

    assert letterhead.link("/wiki/1?tab=talk#top") == "https://x.example/wiki/1?tab=talk#top"


def test_path_keeps_to_the_host_and_is_encoded() -> None:
    letterhead = make_letterhead(app_url="https://x.example/base")

    assert letterhead.link("//evil.example") == "https://x.example/base//evil.example"
    assert letterhead.link('/a b"<ü>\\') == "https://x.example/base/a%20b%22%3C%C3%BC%3E%5C"
    assert letterhead.link("/a%20b") == "https://x.example/base/a%20b"


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("wiki/1", "https://x.example/base/wiki/1"),
        (" /wiki/1 ", "https://x.example/base/wiki/1"),
        ("@evil.example/", "https://x.example/base/@evil.example/"),
        (".evil.example/", "https://x.example/base/.evil.example/"),
        ("?tab=talk", "https://x.example/base/?tab=talk"),
        ("https://x.example/wiki/1?a=b#c", "https://x.example/wiki/1?a=b#c"),
        ("HTTPS://X.example:443/wiki", "https://x.example/wiki"),
        ("https://x.example", "https://x.example"),
        ("https://x.example?a=b", "https://x.example?a=b"),
        ('https://x.example/a b"<ü>', "https://x.example/a%20b%22%3C%C3%BC%3E"),
    ],
)
def test_links_of_the_application_are_completed(link: str, url: str) -> None:
    assert make_letterhead(app_url="https://x.example/base").link(link) == url


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/",
        "http://x.example/",
        "https://x.example:8443/",
        "https://x.example.evil.example/",
        "https://x.example@evil.example/",
        "https://evil.example\\@x.example/",
        "https://x.example\\.evil.example/",
        "https://x.example:443@evil.example/",
        "https:x.example/",
        "https:/x.example/",
        "https:///x.example/",
        "javascript:alert(1)",
        "https://x.example:99999999/",
    ],
)
def test_link_to_another_site_is_refused_by_name(link: str) -> None:
    with pytest.raises(PayloadError, match=r"metadata\.link is .*https://x\.example/"):
        make_letterhead(app_url="https://x.example").link(link, what="metadata.link")
