"""What is wrong with the settings of a program: all of it, by name, without a secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oxcart._settings import rules
from oxcart._settings.checks import PROGRAMS, examine, refuse_problems
from oxcart.errors import ConfigError

SECRET = "correct-horse-battery-staple-7f3K9xQ2"
PRODUCTION = {
    "OXCART_ENV": "production",
    "REDIS_URL": "rediss://club:some-password@some.example:6379/0",
    "DATABASE_URL": "postgresql://club@some.example/club?sslmode=verify-full",
    "OXCART_SIGNING_SECRET": SECRET,
    "OXCART_OPERATOR_KEYS": SECRET + "-op",
    "SMTP_HOST": "smtp.example",
    "SMTP_FROM": "Club <club@club.example>",
    "NEXTAUTH_URL": "https://club.example",
    "OXCART_API_URL": "https://api.club.example",
}


def problems(program: str, environ: dict[str, str]) -> dict[str, str]:
    """Each wrong variable with what is said of it."""
    return {item.variable: item.text for item in examine(PROGRAMS[program], environ).problems}


def notes(program: str, environ: dict[str, str]) -> str:
    return "\n".join(examine(PROGRAMS[program], environ).notes)


@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_set_is_enough_for_development(program: str) -> None:
    assert problems(program, {}) == {}
    assert notes(program, {}) == ""


@pytest.mark.parametrize("program", [name for name in PROGRAMS if name != "dev"])
def test_whole_production_is_right_for_every_program(program: str) -> None:
    assert problems(program, PRODUCTION) == {}
    assert notes(program, PRODUCTION) == ""


@pytest.mark.parametrize(
    ("program", "missing"),
    [
        (
            "api",
            {
                "REDIS_URL",
                "DATABASE_URL",
                "OXCART_SIGNING_SECRET",
                "OXCART_OPERATOR_KEYS or OXCART_SERVICE_KEYS",
            },
        ),
        (
            "worker",
            {"REDIS_URL", "DATABASE_URL", "OXCART_SIGNING_SECRET", "SMTP_HOST", "SMTP_FROM"},
        ),
        (
            "all",
            {
                "REDIS_URL",
                "DATABASE_URL",
                "OXCART_SIGNING_SECRET",
                "SMTP_HOST",
                "SMTP_FROM",
                "OXCART_OPERATOR_KEYS or OXCART_SERVICE_KEYS",
            },
        ),
        ("status", {"REDIS_URL", "DATABASE_URL"}),
        ("migrate", {"DATABASE_URL"}),
        ("worker of an application", set()),
        ("dev", {"OXCART_ENV"}),
    ],
)
def test_production_names_all_that_the_program_misses(program: str, missing: set[str]) -> None:
    assert problems(program, {"OXCART_ENV": "production"}).keys() == missing


OLD_SITE = {
    "NODE_ENV": "production",
    "REDIS_URL": "redis://some.example:6379",
    "DATABASE_URL": "postgresql://club:some-password@some.example:5432/club?schema=public",
    "SMTP_USER": "club@gmail.example",
    "SMTP_PASS": "some-password",
    "NEXTAUTH_URL": "https://club.example",
    "NEXTAUTH_SECRET": "2kq8Zt0v5xPjB1nR7wYcLd4sHg9mUeFa6iTo3XbV=",
    "SENTRY_DSN": "https://key@sentry.example/1",
}
"""What the Node system is given."""


def test_old_sites_environment_is_production_and_hears_all_that_it_lacks_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        refuse_problems(examine(PROGRAMS["all"], OLD_SITE))

    heading, *lines = str(caught.value).splitlines()
    assert heading == (
        "2 settings are wrong (this runs in production, because NODE_ENV is 'production'):"
    )
    assert [line.split(" is not set, and this is production: ")[0].strip() for line in lines] == [
        "OXCART_SIGNING_SECRET",
        "SMTP_FROM",
    ]
    assert "some-password" not in str(caught.value)


def test_old_sites_environment_works_with_the_two_that_it_lacks() -> None:
    lacking = ("SMTP_FROM", "OXCART_SIGNING_SECRET")
    environ = OLD_SITE | {name: PRODUCTION[name] for name in lacking}

    settings = examine(PROGRAMS["all"], environ).settings

    assert problems("all", environ) == {}
    assert settings.is_production
    assert (settings.smtp_host, settings.smtp_port) == ("smtp.gmail.com", 587)


def test_command_for_development_names_the_variable_that_made_this_production() -> None:
    assert "'production'" in problems("dev", {"NODE_ENV": "production"})["NODE_ENV"]


@pytest.mark.parametrize(
    ("changes", "variable", "said"),
    [
        ({"SMTP_USER": "club"}, "SMTP_PASS", "SMTP_USER is"),
        ({"SMTP_PASS": SECRET}, "SMTP_USER", "SMTP_PASS is"),
        (
            {"SMTP_USER": "club", "SMTP_PASSWORD": SECRET},
            "SMTP_PASS",
            "SMTP_PASSWORD is set, did you mean that?",
        ),
        ({"SMTP_PORT": "465", "OXCART_SMTP_TLS": "starttls"}, "OXCART_SMTP_TLS", "implicit"),
        ({"SMTP_PORT": "465", "OXCART_SMTP_TLS": "none"}, "OXCART_SMTP_TLS", "implicit"),
        (
            {"SMTP_USER": "club", "SMTP_PASS": SECRET, "OXCART_SMTP_TLS": "none"},
            "OXCART_SMTP_TLS",
            "in clear",
        ),
        ({"OXCART_PREFIX": "bull*"}, "OXCART_PREFIX", "prefix 'bull*' must be 1 to 200"),
        ({"SMTP_FROM": ""}, "SMTP_FROM", "the built-in one is for development"),
        ({"OXCART_ENV": "test", "NODE_ENV": "production"}, "OXCART_ENV", "but NODE_ENV is"),
        ({"SMTP_FROM": "nobody"}, "SMTP_FROM", "is 'nobody': it must be of the form"),
        ({"SMTP_FROM": "Club <a@x.example>, b@x.example"}, "SMTP_FROM", '"Name" <name@domain>'),
        (
            {"NEXTAUTH_URL": "https://club.example/?a=1"},
            "NEXTAUTH_URL or APP_URL",
            "no query or fragment",
        ),
        ({"OXCART_SIGNING_SECRET": "short"}, "OXCART_SIGNING_SECRET", "5 characters"),
        ({"OXCART_SIGNING_SECRET": SECRET[:31]}, "OXCART_SIGNING_SECRET", "at least 32 random"),
        (
            {"OXCART_SIGNING_SECRET": "a" * 40},
            "OXCART_SIGNING_SECRET",
            "consists of 1 different characters",
        ),
        (
            {"OXCART_SIGNING_SECRET": "0123456789abcdef" * 2},
            "OXCART_SIGNING_SECRET",
            "repeats a shorter text",
        ),
        (
            {"OXCART_SIGNING_SECRET": f"{SECRET}-op"},
            "OXCART_SIGNING_SECRET",
            "is also an API key",
        ),
        (
            {"OXCART_OPERATOR_KEYS": "development-only-operator-key-0123456789"},
            "OXCART_OPERATOR_KEYS",
            "copied from an example",
        ),
        (
            {"OXCART_SERVICE_KEYS": "a key of at least 32 random characters"},
            "OXCART_SERVICE_KEYS",
            "copied from an example",
        ),
        (
            {"NEXTAUTH_SECRET": "the secret of the site, at least 32 characters"},
            "NEXTAUTH_SECRET",
            "set OXCART_SESSIONS=off",
        ),
        ({"OXCART_OPERATOR_KEYS": f"{SECRET}-op,tiny"}, "OXCART_OPERATOR_KEYS", "4 characters"),
        (
            {"OXCART_OPERATOR_KEYS": f"{SECRET}-a", "OXCART_SERVICE_KEYS": f"{SECRET}-a"},
            "OXCART_SERVICE_KEYS",
            "both roles",
        ),
        ({"DATABASE_URL": "mysql://club@some.example/club"}, "DATABASE_URL", "'mysql'"),
        ({"DATABASE_URL": "prisma+postgres://x/?api_key=k"}, "DATABASE_URL", "'prisma'"),
        ({"DATABASE_URL": "  "}, "DATABASE_URL", "is not set"),
        ({"REDIS_URL": "redis://some.example/zero"}, "REDIS_URL", "'zero' is no number"),
        ({"OXCART_API_PROT": "80"}, "OXCART_API_PROT", "did you mean OXCART_API_PORT?"),
        ({"OXCART_BROKER": "sqs"}, "OXCART_SQS_QUEUES", "is not set"),
        ({"OXCART_METRICS_QUEUES": "shop, a:b"}, "OXCART_METRICS_QUEUES", "'a:b'"),
        ({"OXCART_METRICS_MINUTES": "-1"}, "OXCART_METRICS_MINUTES", "at least 0"),
        (
            {"OXCART_BROKER": "sqs", "OXCART_SQS_QUEUES": "email=https://sqs.example/1/email"},
            "OXCART_SQS_QUEUES",
            "names no queue in SQS for export",
        ),
    ],
)
def test_contradiction_is_told_by_name(changes: dict[str, str], variable: str, said: str) -> None:
    found = problems("all", PRODUCTION | changes)

    assert found.keys() - {"OXCART_BROKER"} == {variable}
    assert said in found[variable]
    assert SECRET not in str(found)


def test_worker_takes_no_jobs_of_sqs() -> None:
    queues = "email=https://sqs.example/1/email,export=https://sqs.example/1/export"
    sqs = PRODUCTION | {"OXCART_BROKER": "sqs", "OXCART_SQS_QUEUES": queues}
    del sqs["REDIS_URL"]

    assert problems("api", sqs) == {}
    assert "Lambda" in problems("worker", sqs)["OXCART_BROKER"]


def test_queues_that_are_shown_must_be_where_the_jobs_are() -> None:
    queues = "email=https://sqs.example/1/email,export=https://sqs.example/1/export"
    sqs = PRODUCTION | {"OXCART_BROKER": "sqs", "OXCART_SQS_QUEUES": queues}

    assert problems("api", sqs | {"OXCART_METRICS_QUEUES": "email"}) == {}
    found = problems("api", sqs | {"OXCART_METRICS_QUEUES": "shop"})
    assert "has shop" in found["OXCART_METRICS_QUEUES"]


def test_all_is_told_at_once_and_a_wrong_value_is_not_called_missing_too() -> None:
    environ = {"OXCART_ENV": "production", "REDIS_URL": "some.example", "SMTP_PORT": "many"}

    with pytest.raises(ConfigError) as caught:
        refuse_problems(examine(PROGRAMS["worker"], environ))

    heading, *lines = str(caught.value).splitlines()
    assert heading == "6 settings are wrong:"
    assert [line.split()[0] for line in lines] == [
        "REDIS_URL",
        "SMTP_PORT",
        "DATABASE_URL",
        "OXCART_SIGNING_SECRET",
        "SMTP_HOST",
        "SMTP_FROM",
    ]
    assert lines[0].startswith("  REDIS_URL is (hidden): it must begin with redis://")


@pytest.mark.parametrize("program", ["api", "worker", "all", "dev", "function in Lambda"])
def test_sender_is_checked_by_every_program_that_may_send_mails(program: str) -> None:
    told = problems(program, {"SMTP_FROM": "nobody", "SMTP_PORT": "many"})

    assert told.keys() == {"SMTP_FROM", "SMTP_PORT"}


@pytest.mark.parametrize("program", ["status", "migrate", "worker of an application"])
def test_sender_is_no_matter_where_no_mails_are_sent(program: str) -> None:
    assert problems(program, {"SMTP_FROM": "nobody"}) == {}


def test_only_one_problem_is_one_line() -> None:
    with pytest.raises(ConfigError) as caught:
        refuse_problems(examine(PROGRAMS["api"], {"SMTP_PORT": "0"}))

    assert str(caught.value) == (
        "SMTP_PORT is '0': it must be a whole number of at least 1 and at most 65535"
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"APP_URL": "https://other.example"},
            "NEXTAUTH_URL and APP_URL are both set and differ: NEXTAUTH_URL counts",
        ),
        ({"NEXTAUTH_URL": ""}, "links in mails will lead to http://localhost:3000"),
        ({"OXCART_API_URL": ""}, "download links will begin with http://127.0.0.1:8400"),
        (
            {"OXCART_API_URL": "", "OXCART_API_HOST": "0.0.0.0"},  # noqa: S104
            "download links will begin with http://0.0.0.0:8400",
        ),
        ({"DATABASE_URL": "sqlite:////data/club.db"}, "this one machine"),
        ({"OXCART_SMTP_TLS": "implicit"}, "port 465 is the one for implicit TLS"),
        ({"OXCART_FUTURE": "1"}, "OXCART_FUTURE is no setting of this version"),
        (
            {"OXCART_ENV": "", "NODE_ENV": "production"},
            "OXCART_ENV is not set, and NODE_ENV is production: this runs in production",
        ),
        (
            {"SMTP_HOST": "", "SMTP_USER": "club", "SMTP_PASS": SECRET},
            "SMTP_HOST is not set, SMTP_USER and SMTP_PASS are: mails go to smtp.gmail.com",
        ),
    ],
)
def test_what_is_worth_knowing_stops_nothing(changes: dict[str, str], said: str) -> None:
    assert problems("all", PRODUCTION | changes) == {}
    assert said in notes("all", PRODUCTION | changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"REDIS_URL": "redis://:p@some.example/0"}, "REDIS_URL names a server on the network"),
        ({"REDIS_URL": "rediss://some.example/0"}, "REDIS_URL has no password"),
        ({"REDIS_URL": "redis+sentinel://:p@127.0.0.1,some.example/m"}, "wants rediss://"),
        ({"DATABASE_URL": "postgresql://c:p@some.example/c"}, "it wants sslmode=verify-full"),
        ({"DATABASE_URL": "postgresql://c:p@db/c?sslmode=prefer"}, "does not require TLS"),
        ({"DATABASE_URL": "postgresql:///c?host=db&user=c"}, "does not require TLS"),
    ],
)
def test_server_on_the_network_in_clear_is_noted_or_refused(
    changes: dict[str, str], said: str
) -> None:
    required = PRODUCTION | changes | {"OXCART_SERVER_SECURITY": "require"}

    assert problems("all", PRODUCTION | changes) == {}
    assert said in notes("all", PRODUCTION | changes)
    assert problems("all", required).keys() == changes.keys()
    assert problems("all", required | {"OXCART_ENV": "test"}) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"REDIS_URL": "redis://127.0.0.1:6379/0"},
        {"REDIS_URL": "redis://[::1]:6379/0"},
        {"REDIS_URL": "redis://localhost/0"},
        {"REDIS_URL": "unix:///run/redis.sock"},
        {"REDIS_URL": "rediss+cluster://c:p@some.example:6379,other.example:6379"},
        {"REDIS_URL": "rediss://some.example/0?password=p"},
        {"DATABASE_URL": "postgresql://c:p@localhost:5432/c"},
        {"DATABASE_URL": "postgresql:///c?host=/run/postgresql"},
        {"DATABASE_URL": "postgresql://c:p@db/c?sslmode=require"},
        {"DATABASE_URL": "postgresql://c:p@db/c", "PGSSLMODE": "verify-full"},
    ],
)
def test_server_of_this_machine_or_over_tls_is_secure(changes: dict[str, str]) -> None:
    required = PRODUCTION | changes | {"OXCART_SERVER_SECURITY": "require"}

    assert problems("all", required) == {}
    assert notes("all", required) == ""


def test_same_value_twice_and_services_of_kubernetes_are_no_matter() -> None:
    service = {
        "OXCART_SERVICE_HOST": "10.0.0.1",
        "OXCART_SERVICE_PORT": "8400",
        "OXCART_SERVICE_PORT_HTTP": "8400",
        "OXCART_PORT": "tcp://10.0.0.1:8400",
        "OXCART_PORT_8400_TCP": "tcp://10.0.0.1:8400",
        "OXCART_PORT_8400_TCP_ADDR": "10.0.0.1",
        "OXCART_LIFELINE_FD": "5",
        "OXCART_SUPERVISOR": "6,7,10.0",
        "APP_URL": PRODUCTION["NEXTAUTH_URL"],
    }

    assert problems("all", PRODUCTION | service) == {}
    assert notes("all", PRODUCTION | service) == ""


def test_data_folder_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    environ = {"OXCART_DATA_DIR": str(tmp_path)}

    assert "belongs to user" in problems("worker", environ)["OXCART_DATA_DIR"]
    assert problems("worker", environ | {"REDIS_URL": "redis://some.example"}) == {}


@pytest.mark.parametrize(
    "url",
    [
        "redis://:s3c/ret@some.example:6379/0",
        "redis://:12/s3cret@some.example:6379/0",
        "redis://:12/s3c#ret@some.example",
        "redis://club:s3c?ret@some.example:6379/0",
        "redis://club:12?db=s3cret@some.example",
        "rediss://club:s3c#ret@some.example",
    ],
)
def test_password_that_was_not_encoded_is_not_told(url: str) -> None:
    (text,) = problems("status", {"REDIS_URL": url}).values()

    assert "s3c" not in text
    assert "ret" not in text.replace("secret", "")
    assert "percent-encoded" in text


def test_folder_of_somebody_else_is_no_matter_with_sqs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A volume's root belongs to root where the orchestrator gives its group alone."""
    queue = "https://sqs.eu-central-1.amazonaws.com/123456789012"
    there = {
        "OXCART_BROKER": "sqs",
        "OXCART_SQS_QUEUES": f"email={queue}/email,export={queue}/export",
        "OXCART_DATA_DIR": str(tmp_path),
    }
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)

    assert problems("api", PRODUCTION | there | {"REDIS_URL": ""}) == {}


@pytest.mark.parametrize(
    "path",
    [
        "deploy/systemd/oxcart.env.example",
        "deploy/kubernetes/overlays/production/secret.example.yaml",
        "deploy/kubernetes/overlays/development/secret.env",
    ],
)
def test_examples_secrets_are_refused_until_they_are_replaced(path: str) -> None:
    text = Path(__file__).parents[3].joinpath(path).read_text(encoding="utf-8")
    for variable in ("OXCART_SIGNING_SECRET", "OXCART_OPERATOR_KEYS"):
        (line,) = (line for line in text.splitlines() if line.strip().startswith(variable))
        value = line.strip().removeprefix(variable).lstrip("=: ")

        assert variable in problems("api", PRODUCTION | {variable: value})


def test_missing_library_of_sqs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "find_spec", lambda name: None if name == "boto3" else object())
    queue = "https://sqs.eu-central-1.amazonaws.com/123456789012"
    there = {
        "OXCART_BROKER": "sqs",
        "OXCART_SQS_QUEUES": f"email={queue}/email,export={queue}/export",
    }

    found = problems("api", PRODUCTION | there)

    assert {"OXCART_BROKER"} == found.keys()
    assert "pip install 'oxcart[sqs]'" in found["OXCART_BROKER"]
