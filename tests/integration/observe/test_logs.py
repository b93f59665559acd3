"""The log lines of a real worker: what they name, what they hide, and their form."""

from __future__ import annotations

import json
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import structlog
from tests.integration.cli.programs import environment, running
from tests.support import wait_until_sync

from oxcart.errors import ConfigError
from oxcart.observe.logs import configure_logs
from oxcart.settings import Settings
from oxcart.sync import Queue

SHOP = """
import logging
import threading
import warnings

import structlog

import oxcart

app = oxcart.App(prefix={prefix!r})
log = logging.getLogger("shop")
events = structlog.get_logger("shop.events")


@app.job(queue="shop", secrets=frozenset({{"iban"}}))
async def pay(amount: int, iban: str, password: str) -> None:
    log.info("paying %d from %s", amount, iban, extra={{"resetCode": "abc-reset"}})
    events.info("payment.begun", amount=amount, authorization="Bearer tok-4711")
    log.info("redis://:{secret}@cache.example/0 and https://bank.example/?token={secret}&page=2")
    log.warning("refused for %s", iban)
    warnings.warn("be warned", stacklevel=1)


@app.job(queue="shop")
def count(upto: int) -> None:
    log.info("counted", extra={{"ran_in": threading.current_thread().name}})


@app.job(queue="shop", attempts=2, backoff=oxcart.fixed("1ms"))
async def fail(name: str) -> None:
    try:
        raise KeyError(name)
    except KeyError:
        log.exception("not found")
    raise ValueError("two\\nlines with token={secret}")


async def apologise(failed: oxcart.FailedJob) -> None:
    log.info("told on the loop: %s", failed.reason)


@app.job(queue="shop", attempts=1, secrets=frozenset({{"iban"}}), on_failure=apologise)
async def refuse(iban: str) -> None:
    raise ValueError("no such account " + iban)


def charge(card: str) -> None:
    raise LookupError("no bank for " + card)


@app.job(queue="shop", attempts=1, secrets=frozenset({{"card"}}))
async def group(card: str, password: str) -> None:
    hidden_local = card
    try:
        charge(hidden_local)
    except LookupError as error:
        members = [ValueError("first"), SystemExit(3)]
        raise BaseExceptionGroup("refused " + password, members) from error


@app.on_failure
def note(failed: oxcart.FailedJob) -> None:
    log.info("told in a thread of %s", failed.id)
"""
SECRETS = (
    "DE02120300000000202051", "hunter22", "abc-reset", "tok-4711", "s3cret-value", "card-4711",
)  # fmt: skip


@contextmanager
def output_of_worker(
    folder: Path, valkey: redis.Redis, valkey_url: str, prefix: str, **variables: str
) -> Iterator[list[str]]:
    """The lines of a worker that has run one job of each name, and their ids in ``ids``."""
    (folder / "shop.py").write_text(SHOP.format(prefix=prefix, secret="s3cret-value"))
    queue = Queue("shop", redis_url=valkey_url, prefix=prefix)
    queue.add("pay", {"amount": 5, "iban": SECRETS[0], "password": SECRETS[1]}, job_id="pay-1")
    queue.add("count", {"upto": 3}, job_id="count-1")
    queue.add("fail", {"name": "x"}, attempts=2, job_id="fail-1")
    queue.add("refuse", {"iban": SECRETS[0]}, job_id="refuse-1")
    queue.add("pay", {"amount": "much"}, job_id="misfit-1")
    queue.add("group", {"card": "card-4711", "password": SECRETS[1]}, job_id="group-1")
    queue.close()
    env = environment(folder, REDIS_URL=valkey_url, PYTHONPATH=str(folder), **variables)
    env["OXCART_UNKNOWN_JOB_SECONDS"] = "0"  # so that the payload that does not fit fails at once
    base = f"{prefix}:shop"
    with running("worker", "shop:app", "--name", "w1", env=env, folder=folder) as worker:
        wait_until_sync(
            lambda: valkey.zcard(f"{base}:completed") == 2 and valkey.zcard(f"{base}:failed") == 4,
            within=30,
            what="six jobs to end",
        )
        worker.send_signal(signal.SIGTERM)
        assert 0 == worker.wait(30)
    yield (folder / "output.log").read_text().splitlines()


def test_production_logs_one_json_object_a_line_that_names_its_job_and_no_secret(
    tmp_path: Path, valkey: redis.Redis, valkey_url: str, prefix: str
) -> None:
    with output_of_worker(tmp_path, valkey, valkey_url, prefix, OXCART_ENV="production") as output:
        lines: list[dict[str, Any]] = [json.loads(line) for line in output]
    by_event = {line["event"]: line for line in lines}

    text = "\n".join(output)
    assert [secret for secret in SECRETS if secret in text] == []

    def of_job(event: str) -> tuple[object, ...]:
        line = by_event[event]
        return tuple(line.get(key) for key in ("queue", "job_id", "job_name", "attempt"))

    # Lines of a handler on the loop, through the standard library and through structlog, and of
    # one in a thread.
    assert ("shop", "pay-1", "pay", 1) == of_job("paying 5 from [redacted]")
    assert ("shop", "pay-1", "pay", 1) == of_job("payment.begun")
    assert ("shop", "pay-1", "pay", 1) == of_job("refused for [redacted]")
    assert ("shop", "count-1", "count", 1) == of_job("counted")
    assert by_event["counted"]["ran_in"].startswith("oxcart-handler")
    assert [1, 2] == [line["attempt"] for line in lines if line["event"] == "not found"]
    assert "KeyError: 'x'" in by_event["not found"]["exception"]
    # And those of the hooks of jobs that failed for good, also of one that was not run.
    assert ("shop", "refuse-1", "refuse", 1) == of_job(
        "told on the loop: no such account [redacted]"
    )
    assert ("shop", "refuse-1", "refuse", 1) == of_job("told in a thread of refuse-1")
    assert ("shop", "fail-1", "fail", 2) == of_job("told in a thread of fail-1")
    assert ("shop", "misfit-1", "pay", 1) == of_job("told in a thread of misfit-1")

    url = "redis://[redacted]@cache.example/0 and https://bank.example/?token=[redacted]&page=2"
    assert url in by_event

    assert any("be warned" in event for event in by_event)

    # The engine's own lines: one event name a fact, and the facts by their names.
    started = by_event["worker.started"]
    assert ("shop", "w1", 10) == tuple(started[key] for key in ("queue", "name", "concurrency"))
    failed = next(
        line for line in lines if line["event"] == "job.failed" and "two" in line["reason"]
    )
    assert ("shop", "fail-1", "fail") == tuple(
        failed[key] for key in ("queue", "job_id", "job_name")
    )
    assert "two\nlines with token=[redacted]" == failed["reason"]
    assert ("error", "oxcart.worker") == (failed["level"], failed["logger"])
    assert "no such account [redacted]" in [line.get("reason") for line in lines]
    assert ("fail-1", 0) == tuple(by_event["job.retried"][key] for key in ("job_id", "delay_ms"))
    assert {"worker.stopping", "worker.stopped"} < set(by_event)
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_failed_attempts_are_logged_with_their_errors_as_fields(
    tmp_path: Path, valkey: redis.Redis, valkey_url: str, prefix: str
) -> None:
    with output_of_worker(tmp_path, valkey, valkey_url, prefix, OXCART_ENV="production") as output:
        lines: list[dict[str, Any]] = [json.loads(line) for line in output]
    ended = [line for line in lines if line["event"] in ("job.failed", "job.retried")]
    by_job = {(line["job_id"], line["attempt"]): line for line in ended}

    first, second = by_job["fail-1", 1], by_job["fail-1", 2]
    assert ("job.retried", "job.failed") == (first["event"], second["event"])
    for line in (first, second):
        assert ("ValueError", 2) == (line["error_type"], line["max_attempts"])
        assert "two\nlines with token=[redacted]" == line["error"] == line["reason"]
        assert 0 <= line["duration_ms"] < 5_000
        assert line["exception"].startswith("Traceback (most recent call last):\n")
        assert ", in fail\n" in line["exception"]
        assert line["exception"].endswith("ValueError: two\nlines with token=[redacted]")

    group = by_job["group-1", 1]
    assert "BaseExceptionGroup" == group["error_type"]
    assert "(2 sub-exceptions): ValueError: first; SystemExit: 3" in group["reason"]
    for shown in ("ValueError: first", "SystemExit: 3", "in charge", "no bank for [redacted]"):
        assert shown in group["exception"]
    assert [] == [line for line in ended if "oxcart/_engine" in line.get("exception", "")]

    # Failed without being run.
    misfit = by_job["misfit-1", 1]
    assert ("PayloadError", 1) == (misfit["error_type"], misfit["max_attempts"])
    assert [] == [line for line in lines if line["event"] == "job.completed"]
    assert [secret for secret in SECRETS if secret in json.dumps(lines)] == []


def test_development_shows_tracebacks_and_completed_jobs(
    tmp_path: Path, valkey: redis.Redis, valkey_url: str, prefix: str
) -> None:
    with output_of_worker(tmp_path, valkey, valkey_url, prefix) as output:
        text = "\n".join(output)

    failed = next(at for at, line in enumerate(output) if "job.failed" in line and "fail-1" in line)
    for fact in ("error_type=ValueError", "attempt=2", "max_attempts=2", "duration_ms="):
        assert fact in output[failed]
    assert "Traceback (most recent call last):" == output[failed + 1]
    assert output[failed + 2].endswith(", in fail")
    assert "oxcart/_engine" not in text
    completed = [line for line in output if "job.completed" in line]
    assert {"job_id=pay-1", "job_id=count-1"} == {
        word for line in completed for word in line.split() if word.startswith("job_id=")
    }
    for line in completed:
        assert "[info" in line
        assert "duration_ms=" in line
    assert [secret for secret in SECRETS if secret in text] == []


def test_debug_shows_when_jobs_start_and_complete_in_production_too(
    tmp_path: Path, valkey: redis.Redis, valkey_url: str, prefix: str
) -> None:
    variables = {"OXCART_ENV": "production", "OXCART_LOG_LEVEL": "debug"}
    with output_of_worker(tmp_path, valkey, valkey_url, prefix, **variables) as output:
        lines: list[dict[str, Any]] = [json.loads(line) for line in output]

    started = [line["job_id"] for line in lines if line["event"] == "job.started"]
    completed = [line for line in lines if line["event"] == "job.completed"]
    assert {"pay-1", "count-1", "fail-1", "refuse-1", "misfit-1", "group-1"} == set(started)
    assert {("pay-1", 1, "debug"), ("count-1", 1, "debug")} == {
        (line["job_id"], line["attempt"], line["level"]) for line in completed
    }


def test_development_logs_lines_for_people_without_secrets_and_variables(
    tmp_path: Path, valkey: redis.Redis, valkey_url: str, prefix: str
) -> None:
    with output_of_worker(tmp_path, valkey, valkey_url, prefix) as output:
        text = "\n".join(output)

    paying = next(line for line in output if "paying 5" in line)
    assert "job_id=pay-1" in paying
    assert "[info" in paying
    assert "Traceback (most recent call last)" in text
    assert "locals" not in text  # as a pretty traceback would have them
    assert [secret for secret in SECRETS if secret in text] == []
    with pytest.raises(json.JSONDecodeError):
        json.loads(paying)


@pytest.mark.parametrize(
    ("env", "chosen", "is_json"),
    [
        ("production", "auto", True),
        ("development", "auto", False),
        ("test", "auto", False),
        ("production", "console", False),
        ("development", "json", True),
    ],
)
def test_form_is_chosen_by_environment_and_setting(env: str, chosen: str, is_json: bool) -> None:
    settings = Settings.from_env({"OXCART_ENV": env, "OXCART_LOG_FORMAT": chosen})

    assert is_json is settings.logs_as_json


def test_form_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match=r"OXCART_LOG_FORMAT is 'yaml'.*auto, console, json"):
        Settings.from_env({"OXCART_LOG_FORMAT": "yaml"})


@contextmanager
def logging_as_json() -> Iterator[None]:
    """Log as JSON in this process; logging is as before afterwards."""
    root = logging.getLogger()
    level = root.level
    configure_logs(level="info", as_json=True)
    try:
        yield
    finally:
        for handler in [item for item in root.handlers if type(item) is logging.StreamHandler]:
            root.removeHandler(handler)
        root.setLevel(level)
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()


def test_whatever_is_logged_is_one_json_object_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Rude:
        def __repr__(self) -> str:
            raise RuntimeError

    endless: dict[str, Any] = {"list": []}
    endless["list"].append(endless)
    log = logging.getLogger("shop")

    with logging_as_json():
        log.info("odd", extra={"rude": Rude(), "endless": endless, "nan": float("nan"), "set": {1}})
        log.info("two\nlines", extra={"keys": {1: 2, ("a", "b"): b"bytes"}, "half": "\udc80"})
        log.info("%s of nothing", "wrong", extra={"password": 0, "token": None, "secret": ["a"]})

    lines = [
        json.loads(line, parse_constant=pytest.fail)
        for line in capsys.readouterr().err.splitlines()
    ]
    assert ["odd", "two\nlines", "wrong of nothing"] == [line["event"] for line in lines[:3]]
    assert "<Rude>" == lines[0]["rude"]
    assert ("[redacted]", None, "[redacted]") == tuple(
        lines[2][key] for key in ("password", "token", "secret")
    )


def test_context_that_a_program_binds_is_in_every_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with (
        logging_as_json(),
        structlog.contextvars.bound_contextvars(request="r-1", api_key="k-4711"),
    ):
        logging.getLogger("shop").info("by the standard library")
        structlog.get_logger("shop").info("by structlog")

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [("r-1", "[redacted]")] * 2 == [(line["request"], line["api_key"]) for line in lines]


def test_lambdas_own_handler_does_not_show_lines_once_more() -> None:
    """Lambda's runtime puts one on the root logger, which hides nothing."""

    class LambdaLoggerHandler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise AssertionError(record.getMessage())

    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.addHandler(LambdaLoggerHandler())
    try:
        configure_logs(level="info", as_json=True)
        logging.getLogger("shop").warning("token=s3cret-value")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()
