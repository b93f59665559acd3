"""The folder that becomes the function holds everything that the handler needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.pages import ROOT

PROGRAM = """
import sys
sys.path = [path for path in sys.path if "site-packages" not in path]
import boto3, oxcart.serverless
from oxcart.errors import ConfigError
assert all(".build" in module.__file__ for module in (boto3, oxcart.serverless))
try:
    oxcart.serverless.handler({"Records": []}, None)
except ConfigError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_function_is_whole(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "deploy" / "serverless", tmp_path / "serverless")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    built = subprocess.run(
        [tmp_path / "serverless" / "build", ROOT],
        env=os.environ | {"PYTHON": sys.executable, "LAMBDA_PYTHON": version},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == built.returncode, built.stderr

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": str(tmp_path / "serverless" / ".build")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.startswith("OXCART_BROKER is 'redis'"), done.stderr
    size = sum(file.stat().st_size for file in (tmp_path / "serverless").rglob("*.*"))
    assert size < 250_000_000  # Lambda's limit
