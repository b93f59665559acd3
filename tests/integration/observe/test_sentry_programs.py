"""Sentry in the programs that the command starts, and in the API."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
import redis
import sentry_sdk
from tests.docs.pages import FENCE, ROOT
from tests.integration.cli.programs import environment, run, running
from tests.integration.http.running import make_settings
from tests.integration.observe.envelopes import SentryServer, sentry_server
from tests.support import wait_until_sync

from oxcart.errors import ConfigError
from oxcart.http import create_app
from oxcart.observe.sentry import init_sentry
from oxcart.observe.start import start_observing
from oxcart.settings import Settings
from oxcart.sync import Queue
from oxcart.system import open_system

PAGE = ROOT / "docs" / "how-to" / "errors-and-logs.md"
TOKEN = "tok-4711-abc"
SHOP = """
import sys
from collections.abc import Iterator

import oxcart

app = oxcart.App(prefix={prefix!r})


@app.job(queue="shop", attempts=1, secrets=frozenset({{"iban"}}))
async def fail(iban: str) -> None:
    raise RuntimeError("no such account " + iban)


@app.job(queue="shop")
async def tell() -> bool:
    return "sentry_sdk" in sys.modules


@app.resource
def till() -> Iterator[int]:
    raise OSError("the till is locked")
    yield 0
"""
NEEDS_TILL = """
from oxcart import Provided


@app.job(queue="shop")
async def sell(*, till: int = Provided) -> None: ...
"""


@pytest.fixture
def shop(tmp_path: Path, prefix: str) -> Path:
    """The folder of an application."""
    (tmp_path / "shop.py").write_text(SHOP.format(prefix=prefix))
    return tmp_path


@pytest.fixture
def env(shop: Path, valkey_url: str) -> dict[str, str]:
    return dict(environment(shop, REDIS_URL=valkey_url, PYTHONPATH=str(shop)))


@pytest.fixture
def queue(valkey_url: str, prefix: str) -> Queue:
    return Queue("shop", redis_url=valkey_url, prefix=prefix)


def test_worker_reports_by_its_settings_and_sends_what_is_left_when_it_stops(
    shop: Path, env: dict[str, str], queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    with sentry_server() as sentry:
        env |= {"SENTRY_DSN": sentry.dsn, "OXCART_SENTRY_ENVIRONMENT": "blue"}
        job = queue.add("fail", {"iban": "DE02120300000000202051"})
        with running("worker", "shop:app", env=env, folder=shop) as worker:
            wait_until_sync(
                lambda: valkey.zscore(f"{prefix}:shop:failed", job.id),
                within=30,
                what="the job to fail",
            )
            worker.send_signal(signal.SIGTERM)
            assert 0 == worker.wait(30)
        (event,) = sentry.events
        everything = sentry.everything
    queue.close()

    assert job.id == event["tags"]["job_id"]
    assert "blue" == event["environment"]
    assert event["release"].startswith("oxcart@")
    assert "no such account [redacted]" == event["exception"]["values"][-1]["value"]
    assert "DE02120300000000202051" not in everything


def test_without_a_dsn_the_sdk_is_not_even_imported(
    shop: Path, env: dict[str, str], queue: Queue
) -> None:
    job = queue.add("tell", {})
    with running("worker", "shop:app", env=env, folder=shop):
        assert job.result(timeout="20s") is False
    queue.close()


def test_dsn_without_the_extra_stops_the_start_with_its_name(
    shop: Path, env: dict[str, str]
) -> None:
    # Found before the real one, as if there were none.
    (shop / "sentry_sdk.py").write_text("raise ImportError('No module named sentry_sdk')\n")

    done = run("worker", "shop:app", env=env | {"SENTRY_DSN": "http://key@127.0.0.1:1/7"})

    assert 3 == done.returncode
    assert "SENTRY_DSN is set, but sentry-sdk is not installed" in done.stderr
    assert "oxcart[sentry]" in done.stderr


@pytest.mark.parametrize("dsn", ["sentry.example/7", "http://secret-key@sentry.example/seven%"])
def test_dsn_that_is_none_is_refused_without_being_shown(dsn: str) -> None:
    with pytest.raises(ConfigError, match="SENTRY_DSN") as refused:
        start_observing(Settings.from_env({"SENTRY_DSN": dsn}))

    assert "secret-key" not in str(refused.value)
    assert not sentry_sdk.get_client().is_active()


def test_sentry_that_does_not_answer_does_not_keep_a_program_from_ending(
    shop: Path, env: dict[str, str], queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env |= {"SENTRY_DSN": f"http://key@127.0.0.1:{silent.getsockname()[1]}/7"}
        job = queue.add("fail", {"iban": "x"})
        with running("worker", "shop:app", env=env, folder=shop) as worker:
            wait_until_sync(
                lambda: valkey.zscore(f"{prefix}:shop:failed", job.id),
                within=30,
                what="the job to fail",
            )
            worker.send_signal(signal.SIGTERM)
            assert 0 == worker.wait(25)  # the SDK itself would wait for the answer for longer
    queue.close()


def test_error_that_ends_a_worker_is_reported(shop: Path, env: dict[str, str]) -> None:
    with (shop / "shop.py").open("a") as program:
        program.write(NEEDS_TILL)
    with sentry_server() as sentry:
        done = run("worker", "shop:app", env=env | {"SENTRY_DSN": sentry.dsn})
        kinds = [raised["type"] for raised in sentry.event_sync()["exception"]["values"]]

    assert 1 == done.returncode
    assert "ResourceError" in kinds
    assert "OSError" in kinds


async def test_error_of_the_api_is_reported_once_without_the_request(
    tmp_path: Path, valkey_url: str, prefix: str, sentry: SentryServer
) -> None:
    settings = make_settings(tmp_path, redis_url=valkey_url, prefix=prefix)
    async with open_system(settings) as system:
        api = create_app(system)

        @api.get("/broken/{what}")
        async def broken(what: str) -> None:
            raise RuntimeError("the route broke")

        transport = httpx2.ASGITransport(api)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            answer = await client.get(
                "/broken/x", params={"token": TOKEN}, headers={"cookie": TOKEN}
            )
            await client.get("/nothing-here")
            event = await sentry.event()
    await asyncio.to_thread(sentry_sdk.flush, 10)

    assert 500 == answer.status_code
    assert 1 == len(sentry.events)
    assert "RuntimeError" == event["exception"]["values"][-1]["type"]
    assert answer.headers["x-request-id"] == event["tags"]["request_id"]
    assert ("GET", "/broken/{what}") == (event["tags"]["method"], event["tags"]["route"])
    assert TOKEN not in sentry.everything


@pytest.mark.parametrize("options", [", auto_enabling_integrations=False", ""])
def test_program_of_the_page_reports_once_however_it_starts_the_sdk(
    tmp_path: Path, valkey_url: str, options: str
) -> None:
    for _, title, body in FENCE.findall(PAGE.read_text("utf-8")):
        if title in ("shop.py", "reported.py"):
            text = body.replace(", auto_enabling_integrations=False", options)
            text = text.replace("oxcart.App()", f"oxcart.App(prefix={tmp_path.name!r})")
            (tmp_path / title).write_text(text)
    with sentry_server() as sentry:
        done = subprocess.run(
            [sys.executable, "reported.py"],
            cwd=tmp_path,
            env=dict(environment(tmp_path, REDIS_URL=valkey_url, SENTRY_DSN=sentry.dsn)),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        everything = sentry.everything
        (event,) = sentry.events

    assert ("reported\n", 0) == (done.stdout, done.returncode), done.stderr
    assert "account [redacted] has not enough" == event["exception"]["values"][-1]["value"]
    assert {"queue": "shop", "job_name": "pay", "attempts": "2"}.items() <= event["tags"].items()
    assert "'iban':" not in everything  # as the frames' variables have it
    assert [] == [crumb for crumb in event["breadcrumbs"]["values"] if crumb["category"] == "redis"]


def test_the_sdk_is_started_again_for_another_server() -> None:
    with sentry_server() as first, sentry_server() as second:
        init_sentry(first.dsn, environment="test")
        init_sentry(second.dsn, environment="test")
        sentry_sdk.capture_message("hello")
        sentry_sdk.get_client().close(timeout=10)
        sentry_sdk.get_global_scope().set_client(None)

        assert ([], 1) == (first.events, len(second.events))
