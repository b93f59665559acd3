"""``oxcart config``: what is set, where it came from, and nothing that is secret."""

from __future__ import annotations

import json
from pathlib import Path

from tests.integration.cli.programs import environment, run

from oxcart.settings import ENVIRONMENT

SET = {
    "REDIS_URL": "redis://club:s3cret@some.example:6379/3",
    "DATABASE_URL": "postgresql://club:s3cret@db.example/club",
    "APP_URL": "https://club.example",
    "NEXTAUTH_URL": "",
    "OXCART_OPERATOR_KEYS": "s3cret-one,s3cret-two",
    "OXCART_SIGNING_SECRET": "s3cret-" * 4,
    "SMTP_PORT": "25",
}


def test_every_setting_is_shown_with_where_it_came_from(tmp_path: Path) -> None:
    done = run("config", "--json", env=environment(tmp_path, **SET))
    report = json.loads(done.stdout)
    by_name = {item["setting"]: item for item in report["settings"]}

    assert 0 == done.returncode
    assert list(ENVIRONMENT) == list(by_name)
    shown = {name: (item["value"], item["from"]) for name, item in by_name.items()}
    assert shown["redis_url"] == ("redis://club:***@some.example:6379/3", "REDIS_URL")
    assert shown["database_url"] == ("postgresql://club:***@db.example/club", "DATABASE_URL")
    assert shown["app_url"] == ("https://club.example", "APP_URL")
    assert shown["operator_keys"] == ("***,***", "OXCART_OPERATOR_KEYS")
    assert shown["signing_secret"] == ("***", "OXCART_SIGNING_SECRET")
    assert shown["smtp_port"] == ("25", "SMTP_PORT")
    assert shown["api_port"] == ("8400", "default")
    assert shown["api_url"] == (None, "default")
    assert "http://127.0.0.1:8400" == by_name["api_url"]["instead"]
    assert "s3cret" not in done.stdout + done.stderr


def test_table_has_the_same_and_can_be_read_by_programs(tmp_path: Path) -> None:
    done = run("config", env=environment(tmp_path, **SET))
    lines = {line.split()[0]: line.split() for line in done.stdout.splitlines()}

    assert lines["REDIS_URL"][1:] == ["redis://club:***@some.example:6379/3", "REDIS_URL"]
    assert lines["NEXTAUTH_URL,"][1:] == ["APP_URL", "https://club.example", "APP_URL"]
    assert "s3cret" not in done.stdout


def test_what_is_wrong_is_listed_beside_what_is_set(tmp_path: Path) -> None:
    wrong = {"OXCART_ENV": "production", "SMTP_PORT": "many", "OXCART_API_PROT": "1"}

    done = run("config", "--for", "api", "--json", env=environment(tmp_path, **wrong))
    report = json.loads(done.stdout)
    values = {item["setting"]: item["value"] for item in report["settings"]}

    assert 1 == done.returncode
    assert ("many", "production") == (values["smtp_port"], values["env"])
    assert {"SMTP_PORT", "OXCART_API_PROT", "REDIS_URL", "DATABASE_URL"} <= {
        item["variable"] for item in report["problems"]
    }
    assert "SMTP_HOST" not in {item["variable"] for item in report["problems"]}


def test_command_that_there_is_not_is_wrong_usage(tmp_path: Path) -> None:
    done = run("config", "--for", "everything", env=environment(tmp_path))

    assert 2 == done.returncode
    assert "'everything' is none of api, worker" in done.stderr
