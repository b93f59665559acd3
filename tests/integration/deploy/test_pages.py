"""The pages on deployment: what they name is there, what they run runs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.docs.pages import FENCE
from tests.integration.deploy.dockerfile import ROOT
from tests.integration.deploy.test_compose import read

from oxcart._settings.checks import PROGRAMS, examine

PAGES = [
    ROOT / "docs" / "how-to" / f"{name}.md"
    for name in ("containers", "kubernetes", "monitoring", "systemd")
]
MADE_BY_THE_READER = {"deploy/.env"}
_PATH = re.compile(r"(?:deploy|requirements|overlays|components)/[\w./-]*[\w-]")


def commands(page: Path) -> list[str]:
    """The shell snippets of a page."""
    text = re.sub(r"^ {3}", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [body for language, _, body in FENCE.findall(text) if language == "sh"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_file_that_the_page_names_is_there(page: Path) -> None:
    named = set(_PATH.findall(page.read_text(encoding="utf-8"))) - MADE_BY_THE_READER
    folders = (ROOT, ROOT / "deploy" / "kubernetes")

    assert named
    assert [] == [name for name in named if not any((at / name).exists() for at in folders)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_the_page_are_what_a_shell_reads(page: Path) -> None:
    for snippet in commands(page):
        done = subprocess.run(
            ["bash", "-n"], input=snippet, capture_output=True, text=True, check=False
        )
        assert (0, "") == (done.returncode, done.stderr), snippet


def test_secrets_made_as_the_page_says_start_everything(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    snippet = next(text for text in commands(PAGES[0]) if "> deploy/.env" in text)
    making = snippet[: snippet.index("docker compose")]
    subprocess.run(["bash", "-e"], input=making, text=True, cwd=tmp_path, check=True)
    lines = (tmp_path / "deploy/.env").read_text().splitlines()

    services = read(dict(line.split("=", 1) for line in lines))["services"]

    for name in ("migrate", "api", "worker"):
        assert () == examine(PROGRAMS[name], services[name]["environment"]).problems
