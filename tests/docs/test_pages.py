"""The documentation says what is true: its programs run and print what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.docs.pages import ROOT, play

PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "docs/tutorials/ten-minutes.md",
        "docs/how-to/web-frameworks.md",
        "docs/how-to/middlewares-and-resources.md",
        "docs/how-to/retries-and-errors.md",
        "docs/how-to/errors-and-logs.md",
        "docs/how-to/worker-processes.md",
    ],
)
def test_programs_of_the_page_print_what_it_says(name: str, tmp_path: Path) -> None:
    assert play(ROOT / name, tmp_path) > 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = LINK.findall(page.read_text(encoding="utf-8"))

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_command_is_documented() -> None:
    from oxcart.cli.main import cli

    page = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    names = [
        command.name or command.callback.__name__
        for command in cli.registered_commands
        if command.callback
    ]

    assert [name for name in names if f"`oxcart {name}" not in page] == []


def test_readme_opens_with_the_two_commands() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()

    assert ["make demo", "make test"] == [
        line.split("  ")[0] for line in lines if line.startswith("make ")
    ]
    assert len(lines) <= 150
