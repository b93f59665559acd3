from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from oxcart.errors import ConfigError
from oxcart.exports.errors import LinkExpired, LinkInvalid
from oxcart.exports.links import LinkSigner, old_signing_secrets, signing_secret, web_url
from oxcart.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

SECRET = b"0123456789abcdef"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.5

    def __call__(self) -> float:
        return self.now


def make_signer(secret: bytes = SECRET, clock: Clock | None = None) -> LinkSigner:
    return LinkSigner(
        secret,
        base_url="https://club.example",
        lifetime=timedelta(hours=1),
        now=clock or Clock(),
    )


def parameters(link: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}


def test_a_signed_link_leads_to_the_file_and_is_accepted() -> None:
    link = make_signer().signed_url("cexport")

    assert link.startswith(
        "https://club.example/api/exports/cexport/file?expires=1003600&signature="
    )
    make_signer().check("cexport", expires="1003600", signature=parameters(link)["signature"])


@pytest.mark.parametrize(
    ("lifetime", "query"), [(None, ""), (timedelta(days=7), "?expires=1604800&signature=")]
)
def test_link_in_the_row_needs_a_login_or_lives_as_long_as_the_file(
    lifetime: timedelta | None, query: str
) -> None:
    signer = LinkSigner(
        SECRET,
        base_url="https://club.example",
        lifetime=timedelta(hours=1),
        row_lifetime=lifetime,
        now=Clock(),
    )
    url = signer.row_url("cexport")

    assert url.startswith(f"https://club.example/api/exports/cexport/file{query}")
    assert signer.is_ours(url, "cexport")
    assert not signer.is_ours(url, "cother")
    if lifetime is not None:
        signer.check("cexport", **parameters(url))


def test_a_link_expires() -> None:
    clock = Clock()
    signer = make_signer(clock=clock)
    given = parameters(signer.signed_url("cexport"))

    clock.now = 1_003_599.9
    signer.check("cexport", **given)
    clock.now = 1_003_600.0
    with pytest.raises(LinkExpired):
        signer.check("cexport", **given)


@pytest.mark.parametrize(
    "change",
    [
        {"export_id": "cother"},
        {"expires": "1003601"},
        {"expires": "01003600"},
        {"expires": " 1003600"},
        {"expires": "+1003600"},
        {"expires": "１００３６００"},  # noqa: RUF001  # full-width digits
        {"expires": "1e9"},
        {"expires": ""},
        {"expires": None},
        {"expires": "9" * 400},
        {"signature": ""},
        {"signature": None},
        {"signature": "ü\ud800"},
        {"signature": "0" * 64},
    ],
)
def test_a_link_that_was_tampered_with_is_refused(change: dict[str, Any]) -> None:
    signer = make_signer()
    given: dict[str, Any] = {"export_id": "cexport", **parameters(signer.signed_url("cexport"))}

    given |= change
    with pytest.raises(LinkInvalid) as caught:
        signer.check(given.pop("export_id"), **given)
    assert not isinstance(caught.value, LinkExpired)


def test_a_link_of_another_secret_is_refused() -> None:
    given = parameters(make_signer(b"another secret..").signed_url("cexport"))

    with pytest.raises(LinkInvalid):
        make_signer().check("cexport", **given)


def test_link_of_a_replaced_secret_stays_good_and_new_ones_are_made_with_the_new() -> None:
    settings = Settings(
        signing_secret="fedcba9876543210", old_signing_secrets=("0123456789abcdef",)
    )
    signer = LinkSigner(
        signing_secret(settings),
        base_url="https://club.example",
        lifetime=timedelta(hours=1),
        old_secrets=old_signing_secrets(settings),
        now=Clock(),
    )

    signer.check("cexport", **parameters(make_signer().signed_url("cexport")))
    with pytest.raises(LinkInvalid):
        make_signer().check("cexport", **parameters(signer.signed_url("cexport")))
    with pytest.raises(ConfigError, match="OXCART_OLD_SIGNING_SECRETS has 7 characters") as caught:
        signing_secret(
            Settings(signing_secret="0123456789abcdef", old_signing_secrets=("hunter2",))
        )
    assert "hunter2" not in str(caught.value)


def test_an_expired_link_that_was_tampered_with_is_not_called_expired() -> None:
    """Nobody learns whether a guess was right once."""
    with pytest.raises(LinkInvalid) as caught:
        make_signer().check("cexport", expires="1", signature="0" * 64)
    assert not isinstance(caught.value, LinkExpired)


def test_own_urls_are_known_under_another_address() -> None:
    signer = make_signer()

    assert signer.is_ours(signer.file_url("cexport"), "cexport")
    assert signer.is_ours("http://old.example/api/exports/cexport/file", "cexport")
    assert not signer.is_ours("https://cdn.example/exports/cexport.csv", "cexport")


@pytest.mark.parametrize("value", ["javascript:alert(1)", "/api/x", "", None, 5, ["https://x"]])
def test_only_web_addresses_are_taken_for_a_files_url(value: Any) -> None:
    assert web_url(value) is None
    assert web_url("https://cdn.example/x.csv") == "https://cdn.example/x.csv"


def test_secret_of_the_settings_is_used() -> None:
    assert signing_secret(Settings(signing_secret="0123456789abcdef")) == SECRET


def test_short_secret_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError, match="at least 16") as caught:
        signing_secret(Settings(signing_secret="hunter2"))
    assert "hunter2" not in str(caught.value)


def test_production_needs_a_secret() -> None:
    with pytest.raises(ConfigError, match="OXCART_SIGNING_SECRET"):
        signing_secret(Settings(env="production"))


def test_development_makes_one_secret_and_keeps_it_to_itself(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")

    with ThreadPoolExecutor(8) as threads:
        secrets = set(threads.map(signing_secret, [settings] * 16))
    secrets.add(signing_secret(settings))
    assert len(secrets) == 1
    assert len(secrets.pop()) == 64
    (kept,) = (tmp_path / "data").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_an_empty_secret_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "signing-secret").touch()

    with pytest.raises(ConfigError, match="holds no secret"):
        signing_secret(Settings(data_dir=tmp_path))
