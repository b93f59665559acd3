"""Commands that come to an end: their output and their exit codes."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from tests.integration.cli.programs import environment, run

from oxcart import __version__


def test_version_is_shown(tmp_path: Path) -> None:
    done = run("version", env=environment(tmp_path))

    assert (0, __version__) == (done.returncode, done.stdout.strip())


def test_wrong_settings_are_all_named_and_nothing_starts(tmp_path: Path) -> None:
    env = environment(tmp_path, SMTP_PORT="many", OXCART_GRACE_SECONDS="0")

    done = run("worker", env=env)

    assert 3 == done.returncode
    assert "SMTP_PORT" in done.stderr
    assert "OXCART_GRACE_SECONDS" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_worker_in_production_without_smtp_refuses_and_names_the_variable(
    tmp_path: Path, valkey_url: str, prefix: str
) -> None:
    env = environment(
        tmp_path,
        OXCART_ENV="production",
        REDIS_URL=valkey_url,
        OXCART_PREFIX=prefix,
        OXCART_SIGNING_SECRET="7f3K9xQ2mZ8vR4tB6nW1cY5hJ0pL2sD4",
    )

    done = run("worker", env=env)

    assert 3 == done.returncode
    assert "3 settings are wrong" in done.stderr
    assert "DATABASE_URL is not set" in done.stderr
    assert "SMTP_HOST is not set" in done.stderr
    assert "SMTP_FROM is not set" in done.stderr
    assert "Traceback" not in done.stderr


def test_api_in_production_without_keys_refuses_and_names_the_variables(
    tmp_path: Path, valkey_url: str, prefix: str
) -> None:
    env = environment(
        tmp_path,
        OXCART_ENV="production",
        REDIS_URL=valkey_url,
        OXCART_PREFIX=prefix,
        OXCART_SIGNING_SECRET="7f3K9xQ2mZ8vR4tB6nW1cY5hJ0pL2sD4",
    )

    done = run("api", "--port", "0", env=env)

    assert 3 == done.returncode
    assert "OXCART_OPERATOR_KEYS" in done.stderr


def test_dev_refuses_to_run_in_production(tmp_path: Path) -> None:
    done = run("dev", env=environment(tmp_path, OXCART_ENV="production"))

    assert 3 == done.returncode
    assert "OXCART_ENV" in done.stderr


def test_status_shows_the_queues_and_exits_0_when_all_is_healthy(
    tmp_path: Path, valkey_url: str, prefix: str
) -> None:
    env = environment(tmp_path, REDIS_URL=valkey_url, OXCART_PREFIX=prefix)

    table = run("status", env=env)
    report = json.loads(run("status", "-o", "json", env=env).stdout)

    assert 0 == table.returncode
    assert {"email", "export", "overall"} <= set(table.stdout.split())
    assert "healthy" == report["overallStatus"]
    assert ["email", "export"] == [queue["name"] for queue in report["queues"]]


def test_status_exits_3_and_says_unhealthy_without_redis(tmp_path: Path) -> None:
    env = environment(tmp_path, REDIS_URL="redis://127.0.0.1:1/0")

    done = run("status", "-o", "json", env=env)

    assert 3 == done.returncode
    assert "unhealthy" == json.loads(done.stdout)["overallStatus"]


def test_queue_that_has_no_jobs_is_refused_by_name(
    tmp_path: Path, valkey_url: str, prefix: str
) -> None:
    env = environment(tmp_path, REDIS_URL=valkey_url, OXCART_PREFIX=prefix)

    done = run("worker", "-q", "emial:2", env=env)

    assert 3 == done.returncode
    assert "emial" in done.stderr
    assert "email, export" in done.stderr


def test_concurrency_that_is_no_number_is_wrong_usage(tmp_path: Path) -> None:
    done = run("worker", "-q", "email:lots", env=environment(tmp_path))

    assert 2 == done.returncode


def test_application_that_is_not_there_is_named(tmp_path: Path, valkey_url: str) -> None:
    done = run("worker", "no_such_module:app", env=environment(tmp_path, REDIS_URL=valkey_url))

    assert 3 == done.returncode
    assert "no_such_module" in done.stderr


@pytest.mark.parametrize("variable", ["OXCART_ENV", "NODE_ENV"])
def test_production_never_starts_on_private_servers(tmp_path: Path, variable: str) -> None:
    done = run("api", env=environment(tmp_path, **{variable: "production"}))

    assert 3 == done.returncode
    for name in ("REDIS_URL", "DATABASE_URL", "OXCART_SIGNING_SECRET", "OXCART_OPERATOR_KEYS"):
        assert name in done.stderr
    assert not (tmp_path / "data").exists()


def test_status_counts_the_database_in(tmp_path: Path, valkey_url: str, prefix: str) -> None:
    env = environment(
        tmp_path,
        REDIS_URL=valkey_url,
        OXCART_PREFIX=prefix,
        DATABASE_URL="postgresql://u:p@127.0.0.1:1/x",
    )

    done = run("status", "-o", "json", env=env)

    assert 3 == done.returncode
    assert "unhealthy" == json.loads(done.stdout)["overallStatus"]


def test_status_shows_the_queues_of_an_application(
    tmp_path: Path, valkey_url: str, prefix: str
) -> None:
    (tmp_path / "shop.py").write_text(
        f"import oxcart\napp = oxcart.App(prefix={prefix!r})\n"
        "@app.job(queue='sums')\ndef add(): ...\n"
    )
    env = environment(tmp_path, REDIS_URL=valkey_url, PYTHONPATH=str(tmp_path))

    done = run("status", "shop:app", "-o", "json", env=env)

    assert 0 == done.returncode
    assert ["sums"] == [queue["name"] for queue in json.loads(done.stdout)["queues"]]


def test_application_that_cannot_be_imported_is_told_with_its_own_line(
    tmp_path: Path, valkey_url: str
) -> None:
    (tmp_path / "broken_shop.py").write_text("import oxcart\n1 / 0\n")
    env = environment(tmp_path, REDIS_URL=valkey_url, PYTHONPATH=str(tmp_path))

    done = run("worker", "broken_shop:app", env=env)

    assert 3 == done.returncode
    assert "broken_shop.py, line 2" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert "Traceback" not in done.stderr


def test_dev_tells_a_taken_port_before_it_starts_anything(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("dev", "--port", port, env=environment(tmp_path))

    assert 3 == done.returncode
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert not (tmp_path / "data").exists()


def test_port_that_is_none_and_no_concurrency_are_wrong_usage(
    tmp_path: Path, valkey_url: str
) -> None:
    env = environment(tmp_path, REDIS_URL=valkey_url)

    assert 2 == run("api", "--port", "70000", env=env).returncode
    none = run("worker", "-q", "email:0", env=env)
    assert 3 == none.returncode
    assert "must be 1 or more" in none.stderr


def test_application_without_a_server_is_refused_in_production(tmp_path: Path) -> None:
    """The line is the application's own, and nothing is started."""
    (tmp_path / "shop.py").write_text("import oxcart\n\napp = oxcart.App()\n")
    env = environment(tmp_path, OXCART_ENV="production", PYTHONPATH=str(tmp_path))

    for command in ("worker", "status"):
        done = run(command, "shop:app", env=env)

        assert 3 == done.returncode
        assert "shop.py, line 3): REDIS_URL is not set" in done.stderr.replace("\n", " ")
        assert not (tmp_path / "data").exists()


def test_mail_preview_writes_every_mail_with_the_templates_of_the_folder(tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "welcome.subject.j2").write_text("Ahoy {{ name }}")
    env = environment(tmp_path, OXCART_MAIL_TEMPLATES=str(templates))

    done = run("mail", "preview", str(tmp_path / "out"), env=env)

    assert 0 == done.returncode, done.stderr
    assert "welcome: Ahoy Ada Lovelace" in done.stdout
    names = [path.name for path in (tmp_path / "out").iterdir()]
    mails = ("welcome", "verification", "password_reset", "notification")
    assert sorted(names) == sorted(f"{m}.{part}" for m in mails for part in ("eml", "html", "txt"))
    html = (tmp_path / "out" / "notification.html").read_text()
    assert "“Analytical Engines &amp; &lt;Looms&gt;” is online now." in html


def test_templates_that_cannot_be_used_stop_the_start_and_are_named(tmp_path: Path) -> None:
    (tmp_path / "welcome.html.j2").write_text("<p>\n{{ nmae }}")
    env = environment(tmp_path, OXCART_MAIL_TEMPLATES=str(tmp_path))

    for command in ("worker", "api", "mail preview"):
        done = run(*command.split(), env=env)

        assert 3 == done.returncode, command
        assert "welcome.txt.j2: it is missing beside welcome.html.j2" in done.stderr
        assert "Traceback" not in done.stderr
