"""Settings: read from the environment, all problems named at once, secrets never shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from oxcart.errors import ConfigError
from oxcart.settings import ENVIRONMENT, SECRET_FIELDS, Settings

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


def test_empty_environment_gives_the_defaults() -> None:
    assert Settings() == Settings.from_env({})


def test_every_field_has_a_variable() -> None:
    assert set(Settings.__struct_fields__) == set(ENVIRONMENT)


def test_every_variable_is_documented() -> None:
    page = PAGE.read_text(encoding="utf-8")

    names = [name for names in ENVIRONMENT.values() for name in names]
    assert [name for name in names if f"`{name}`" not in page] == []


def documented() -> dict[str, str]:
    """Each variable on the page with its default there."""
    rows = re.findall(r"^\| (`[A-Z].*?) \| (.*?) \| .+ \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    return {name: default for names, default in rows for name in re.findall("`(.+?)`", names)}


def test_every_documented_variable_exists() -> None:
    assert {name for names in ENVIRONMENT.values() for name in names} == set(documented())


def test_documented_defaults_are_true() -> None:
    page = documented()

    for field, names in ENVIRONMENT.items():
        default = getattr(Settings(), field)
        if default not in (None, ()):
            assert {page[name] for name in names} == {f"`{default}`"}


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("OXCART_ENV", "production", "env", "production"),
        ("OXCART_DATA_DIR", "/var/lib/oxcart", "data_dir", Path("/var/lib/oxcart")),
        ("REDIS_URL", "redis://example", "redis_url", "redis://example"),
        ("SMTP_PORT", " 25 ", "smtp_port", 25),
        ("OXCART_STORAGE_DIR", "/exports", "storage_dir", Path("/exports")),
        ("OXCART_OPERATOR_KEYS", "one, two,,", "operator_keys", ("one", "two")),
        ("APP_URL", "https://club.example", "app_url", "https://club.example"),
        ("OXCART_SMTP_TLS", "implicit", "smtp_tls", "implicit"),
    ],
)
def test_variable_sets_its_field(variable: str, text: str, field: str, value: object) -> None:
    assert value == getattr(Settings.from_env({variable: text}), field)


VALUES = {
    "OXCART_ENV": "test",
    "NODE_ENV": "production",
    "REDIS_URL": "redis://some.example",
    "SMTP_PORT": "2525",
    "OXCART_WEBHOOK_CONCURRENCY": "7",
    "OXCART_WEBHOOK_KEEP_DAYS": "7",
    "OXCART_SMTP_TLS": "none",
    "OXCART_SMTP_CHECK_SECONDS": "9",
    "OXCART_EMAILS_PER_RECIPIENT": "9",
    "OXCART_OUTBOX": "all",
    "OXCART_API_PORT": "8500",
    "OXCART_MAX_BODY_BYTES": "10",
    "OXCART_LINK_SECONDS": "10",
    "OXCART_MAX_CONNECTIONS": "9",
    "OXCART_MAX_STREAMS": "9",
    "OXCART_MAX_STREAMS_PER_USER": "9",
    "OXCART_TICKET_SECONDS": "9",
    "OXCART_EXPORTS_PER_HOUR": "9",
    "OXCART_UNFINISHED_EXPORTS": "9",
    "OXCART_EMAIL_CONCURRENCY": "9",
    "OXCART_EXPORT_CONCURRENCY": "9",
    "OXCART_GRACE_SECONDS": "9",
    "OXCART_UNKNOWN_JOB_SECONDS": "9",
    "OXCART_MAX_STALLED": "attempts",
    "OXCART_FILE_LINKS": "signed",
    "OXCART_SERVER_SECURITY": "require",
    "OXCART_PROCESSES": "0",
    "OXCART_FROZEN_SECONDS": "9",
    "OXCART_START_SECONDS": "9",
    "OXCART_METRICS_MINUTES": "9",
    "OXCART_LOG_LEVEL": "debug",
    "OXCART_LOG_FORMAT": "json",
    "OXCART_BROKER": "sqs",
    "OXCART_SESSIONS": "off",
    "OXCART_JWT_LEEWAY_SECONDS": "9",
    "OXCART_EXPORT_DAYS": "9",
    "SENTRY_DSN": "https://key@some.example/1",
    "OXCART_SENTRY_SAMPLE_RATE": "0.5",
    "OXCART_REDIS_CONNECT_SECONDS": "0.7",
    "OXCART_REDIS_COMMAND_SECONDS": "7.5",
}
"""For variables that do not take just any text."""


@pytest.mark.parametrize(
    ("field", "variable"),
    [(field, variable) for field, names in ENVIRONMENT.items() for variable in names],
)
def test_every_variable_sets_its_field_and_no_other(field: str, variable: str) -> None:
    settings = Settings.from_env(
        {
            variable: VALUES.get(
                variable, "https://some.example" if field.endswith("_url") else "some-text"
            )
        }
    )

    changed = {
        name
        for name in Settings.__struct_fields__
        if getattr(settings, name) != getattr(Settings(), name)
    }
    assert {field} == changed


def test_empty_variable_counts_as_not_set() -> None:
    assert Settings().smtp_port == Settings.from_env({"SMTP_PORT": "  "}).smtp_port


@pytest.mark.parametrize(
    ("variables", "env"),
    [
        ({"NODE_ENV": "production"}, "production"),
        ({"NODE_ENV": " Production "}, "production"),
        ({"NODE_ENV": "production", "OXCART_ENV": " "}, "production"),
        ({"NODE_ENV": "production", "OXCART_ENV": "production"}, "production"),
        ({"NODE_ENV": "development", "OXCART_ENV": "production"}, "production"),
        ({"NODE_ENV": "development"}, "development"),
        ({"NODE_ENV": "test"}, "development"),
        ({"NODE_ENV": "staging", "OXCART_ENV": "test"}, "test"),
    ],
)
def test_production_of_node_is_production(variables: dict[str, str], env: str) -> None:
    assert env == Settings.from_env(variables).env


@pytest.mark.parametrize("env", ["development", "test"])
def test_environment_that_contradicts_node_is_refused(env: str) -> None:
    with pytest.raises(ConfigError, match=f"OXCART_ENV is '{env}', but NODE_ENV is 'production'"):
        Settings.from_env({"NODE_ENV": "production", "OXCART_ENV": env})


def test_nextauth_url_wins_over_app_url() -> None:
    both = {"APP_URL": "https://second.example", "NEXTAUTH_URL": "https://first.example"}

    assert "https://first.example" == Settings.from_env(both).app_url


def test_all_problems_are_named_at_once() -> None:
    wrong = {"SMTP_PORT": "many", "OXCART_ENV": "prod", "OXCART_LINK_SECONDS": "0"}

    with pytest.raises(ConfigError) as caught:
        Settings.from_env(wrong)

    message = str(caught.value)
    assert [name for name in wrong if name not in message] == []
    assert "'many'" in message


def test_secrets_are_not_shown() -> None:
    secret = "s3cret-value"
    forms = {"redis_url": "redis://:{}@host", "sentry_dsn": "https://{}@host/1"}
    values = {
        name: forms.get(field, "{}").format(secret)
        for field, names in ENVIRONMENT.items()
        for name in names
        if field in SECRET_FIELDS
    }

    assert secret not in repr(Settings.from_env(values))
    assert secret not in str(Settings.from_env(values))


def test_secrets_are_not_in_the_message_about_other_variables() -> None:
    secret = "s3cret-value"
    values = {name: secret for field in SECRET_FIELDS for name in ENVIRONMENT[field]}

    with pytest.raises(ConfigError) as caught:
        Settings.from_env({**values, "SMTP_PORT": "many"})

    assert secret not in str(caught.value)


def test_base_url_is_made_of_host_and_port_unless_it_is_given() -> None:
    assert "http://0.0.0.0:80" == Settings(api_host="0.0.0.0", api_port=80).base_url  # noqa: S104
    assert "https://api.example" == Settings(api_url="https://api.example/").base_url


def test_secrets_are_not_shown_by_rich() -> None:
    settings = Settings.from_env({"REDIS_URL": "redis://:s3cret@host", "OXCART_LOG_LEVEL": "debug"})

    shown = dict(settings.__rich_repr__())

    assert ("***", "debug") == (shown["redis_url"], shown["log_level"])


@pytest.mark.parametrize(
    ("variable", "text", "wish"),
    [
        ("REDIS_URL", "127.0.0.1:6379", "redis://, rediss:// or unix://"),
        ("REDIS_URL", "redis://:s3cret@some.example/zero", "the database 'zero' is no number"),
        ("REDIS_URL", "rediss://some.example:6379/1/2", "the database '1/2' is no number"),
        ("REDIS_URL", "redis://some.example?db=one", "the database 'one' is no number"),
        ("REDIS_URL", "unix:///run/valkey.sock?db=one", "the database 'one' is no number"),
        ("REDIS_URL", "redis://some.example:port/0", "cannot be read"),
        ("REDIS_URL", "redis+sentinel://some.example:26379/main/x", "number of a database"),
        ("REDIS_URL", "redis+cluster://some.example:6379/1", "database 0 alone"),
        ("SMTP_PORT", "many", "a whole number of at least 1 and at most 65535"),
        ("OXCART_GRACE_SECONDS", "0", "a whole number of at least 1"),
        ("OXCART_API_PORT", "tcp://10.0.0.1:8400", "enableServiceLinks: false"),
        ("OXCART_API_URL", "foo", "https://example.org"),
        ("OXCART_API_URL", "https://", "https://example.org"),
        ("OXCART_ENV", "prod", "development, production, test"),
        ("OXCART_DATA_DIR", "~no-such-user/x", "home directory"),
    ],
)
def test_wrong_value_is_told_with_what_is_wanted(variable: str, text: str, wish: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.from_env({variable: text})

    assert variable in str(caught.value)
    assert wish in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://some.example",
        "redis://some.example:6379/",
        "redis://:s3cret@some.example:6379/15",
        "rediss://some.example:6379/0?ssl_cert_reqs=none",
        "unix:///run/valkey.sock?db=2",
        "redis+cluster://some.example:6379,other.example:6379",
        "redis+sentinel://some.example:26379/main/3",
    ],
)
def test_good_redis_urls_are_taken(url: str) -> None:
    assert url == Settings.from_env({"REDIS_URL": url}).redis_url
