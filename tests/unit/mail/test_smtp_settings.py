from __future__ import annotations

import pytest

from oxcart._settings.rules import is_loopback
from oxcart.errors import ConfigError
from oxcart.mail.outgoing import require_smtp
from oxcart.mail.smtp_settings import SmtpSettings, TlsMode
from oxcart.settings import Settings


@pytest.mark.parametrize(
    ("environ", "tls"),
    [
        ({"SMTP_HOST": "smtp.example.com"}, TlsMode.STARTTLS),
        ({"SMTP_HOST": "smtp.example.com", "SMTP_PORT": "25"}, TlsMode.STARTTLS),
        ({"SMTP_HOST": "smtp.example.com", "SMTP_PORT": "465"}, TlsMode.IMPLICIT),
        ({"SMTP_HOST": "localhost", "SMTP_PORT": "465"}, TlsMode.IMPLICIT),
        ({"SMTP_HOST": "localhost", "SMTP_PORT": "1025"}, TlsMode.NONE),
        ({"SMTP_HOST": "localhost", "OXCART_SMTP_TLS": "starttls"}, TlsMode.STARTTLS),
        ({"SMTP_HOST": "smtp.example.com", "OXCART_SMTP_TLS": "none"}, TlsMode.NONE),
    ],
)
def test_encryption_follows_from_the_environment(environ: dict[str, str], tls: TlsMode) -> None:
    assert SmtpSettings.from_settings(Settings.from_env(environ)).tls is tls


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("mail.localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost.example.com", False),
        ("10.0.0.1", False),
        ("smtp.example.com", False),
        ("", False),
    ],
)
def test_loopback_is_told_by_the_name(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_password_in_clear_is_refused_but_on_loopback() -> None:
    login = {"SMTP_USER": "u", "SMTP_PASS": "p", "OXCART_SMTP_TLS": "none"}

    with pytest.raises(ConfigError, match="OXCART_SMTP_TLS"):
        SmtpSettings.from_settings(Settings.from_env({"SMTP_HOST": "smtp.example.com"} | login))
    SmtpSettings.from_settings(Settings.from_env({"SMTP_HOST": "localhost"} | login))


@pytest.mark.parametrize(("given", "missing"), [("USER", "PASS"), ("PASS", "USER")])
def test_half_a_login_is_refused_by_name(given: str, missing: str) -> None:
    settings = Settings.from_env({"SMTP_HOST": "smtp.example.com", f"SMTP_{given}": "x"})

    with pytest.raises(ConfigError, match=f"SMTP_{given} is set but SMTP_{missing} is not"):
        SmtpSettings.from_settings(settings)


def test_password_is_not_shown() -> None:
    environ = {"SMTP_HOST": "smtp.example.com", "SMTP_USER": "u", "SMTP_PASS": "hunter2"}

    assert "hunter2" not in repr(SmtpSettings.from_settings(Settings.from_env(environ)))


@pytest.mark.parametrize(
    ("environ", "missing"),
    [
        ({"OXCART_ENV": "production"}, ["SMTP_FROM", "SMTP_HOST"]),
        ({"NODE_ENV": "production"}, ["SMTP_FROM", "SMTP_HOST"]),
        ({"OXCART_ENV": "production", "SMTP_USER": "u"}, ["SMTP_FROM", "SMTP_HOST", "SMTP_PASS"]),
        ({"OXCART_ENV": "production", "SMTP_PASS": "p"}, ["SMTP_FROM", "SMTP_HOST", "SMTP_USER"]),
        ({"OXCART_ENV": "production", "SMTP_HOST": "h"}, ["SMTP_FROM"]),
        ({"SMTP_HOST": "h", "SMTP_USER": "u"}, ["SMTP_PASS"]),
        ({"SMTP_HOST": "h", "SMTP_PASS": "p"}, ["SMTP_USER"]),
    ],
)
def test_missing_variables_are_named(environ: dict[str, str], missing: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        require_smtp(Settings.from_env(environ))

    names = ("SMTP_HOST", "SMTP_USER", "SMTP_PASS", "SMTP_FROM")
    named = [name for name in names if f"{name} is not set" in str(caught.value)]
    assert sorted(named) == sorted(missing)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OXCART_ENV": "test"},
        {"OXCART_ENV": "production", "SMTP_HOST": "h", "SMTP_FROM": "club@club.example"},
        {
            "NODE_ENV": "production",
            "SMTP_USER": "u",
            "SMTP_PASS": "p",
            "SMTP_FROM": '"Cofactor Club" <no-reply@cofactor.world>',
        },
    ],
)
def test_settings_that_can_send_are_taken(environ: dict[str, str]) -> None:
    require_smtp(Settings.from_env(environ))


@pytest.mark.parametrize(
    "variables", [{}, {"OXCART_ENV": "production", "SMTP_FROM": "c@c.example"}]
)
def test_log_in_without_a_server_is_one_at_the_old_systems_server(
    variables: dict[str, str],
) -> None:
    settings = Settings.from_env({"SMTP_USER": "u", "SMTP_PASS": "p"} | variables)

    outward = SmtpSettings.from_settings(settings)

    assert (outward.host, outward.port) == ("smtp.gmail.com", 587)
    assert outward.tls is TlsMode.STARTTLS


def test_as_many_connections_as_mails_at_a_time() -> None:
    settings = Settings.from_env({"SMTP_HOST": "h", "OXCART_EMAIL_CONCURRENCY": "3"})

    assert SmtpSettings.from_settings(settings).max_connections == 3
    assert SmtpSettings.from_settings(settings, max_connections=8).max_connections == 8


def test_no_connection_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_connections is 0; it must be 1 or more"):
        SmtpSettings.from_settings(Settings(smtp_host="h"), max_connections=0)
