"""The how-to page is true: its programs and commands run, its calls and files are as it says."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from tests.docs.pages import ROOT, play
from tests.docs.session import play_session
from tests.integration.http.running import OPERATOR, OPERATOR_KEY, connected, make_settings
from tests.integration.serverless.aws import AwsServer, make_queue

from oxcart.system import open_system

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

PAGE = ROOT / "docs" / "how-to" / "serverless.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A reader's folder, from which modules are imported anew."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("shop", "fill", "index"):
        sys.modules.pop(name, None)


def test_commands_print_what_the_page_says(reader: Path) -> None:
    assert play(PAGE, reader) == 3


def test_session_with_sqs_prints_what_the_page_says(
    reader: Path, sqs: SQSClient, aws: AwsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = make_queue(sqs, "images")
    monkeypatch.setenv("OXCART_BROKER", "sqs")
    monkeypatch.setenv("OXCART_SQS_QUEUES", f"images={address.url}")
    monkeypatch.setenv("OXCART_SQS_DEAD_LETTER_QUEUES", f"images={address.dead_letter_url}")
    # The files of the page that fill Redis and serve the API are not this session's.
    page = reader / "page.md"
    page.write_text(re.sub(r'```python title="(fill|index)\.py".*?```\n', "", TEXT, flags=re.S))

    assert play_session(page, reader) > 0


async def test_call_of_the_timer_is_taken(valkey_url: str, prefix: str, tmp_path: Path) -> None:
    (command,) = re.findall(r"^curl .*?[^\\]$", TEXT, re.M | re.S)
    words = shlex.split(command.replace("\\\n", " "))
    url = urlsplit(words[-1].replace("$OXCART_API_URL", "http://api"))
    name, _, value = words[words.index("-H") + 1].partition(": ")
    (cron,) = json.loads(_fence("json"))["crons"]
    settings = make_settings(tmp_path, redis_url=valkey_url, prefix=prefix)

    async with open_system(settings) as system, connected(system) as client:
        by_curl = await client.request(
            words[words.index("-X") + 1],
            f"{url.path}?{url.query}",
            headers={name: value.replace("$OPERATOR_KEY", OPERATOR_KEY)},
        )
        by_vercel = await client.get(cron["path"], headers=OPERATOR)

    assert [httpx2.codes.OK] * 2 == [by_curl.status_code, by_vercel.status_code]
    limit = json.loads(_fence("json"))["functions"]["api/index.py"]["maxDuration"]
    assert int(parse_qs(urlsplit(cron["path"]).query)["maxSeconds"][0]) < limit


async def test_file_for_vercel_is_an_asgi_application(
    reader: Path, valkey_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "REDIS_URL": valkey_url,
        "OXCART_PREFIX": prefix,
        "OXCART_DATA_DIR": str(reader),
        "OXCART_ENV": "test",
        "OXCART_OPERATOR_KEYS": OPERATOR_KEY,
    }.items():
        monkeypatch.setenv(name, value)
    scope: dict[str, httpx2.ASGITransport] = {}
    exec(_fence('python title="index.py"'), scope)  # noqa: S102  # our own page
    app = scope["app"]

    transport = httpx2.ASGITransport(app)  # type: ignore[arg-type]  # as the page makes it
    async with httpx2.AsyncClient(transport=transport, base_url="http://api") as client:
        health = await client.get("/api/health")
        burst = await client.get("/api/worker/burst?maxSeconds=20", headers=OPERATOR)
    await app.close()  # type: ignore[attr-defined]  # the same

    assert ("healthy", "empty") == (health.json()["status"], burst.json()["ended"])


def test_files_that_the_page_names_are_there() -> None:
    assert "deploy/serverless/build\n" in TEXT
    build = ROOT / "deploy" / "serverless" / "build"
    assert build.stat().st_mode & 0o111
    assert (ROOT / "deploy" / "serverless" / "template.yaml").exists()


def _fence(language: str) -> str:
    (body,) = re.findall(rf"^```{re.escape(language)}\n(.*?)^```$", TEXT, re.M | re.S)
    return str(body)
