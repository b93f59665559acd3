"""The sessions of the documentation run and print what they say; what is not run can be read."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from tests.docs.pages import FENCE, ROOT
from tests.docs.session import Snippet, play_session, snippets_of, stumbles_of
from tests.interop.live.runtime import RuntimeMissing, find_node

SESSIONS = (
    "docs/explanation/oxcart-and-bullmq.md",
    "docs/how-to/deduplicate-jobs.md",
    "docs/how-to/deploying-safely.md",
    "docs/how-to/flows.md",
    "docs/how-to/move-a-node-worker.md",
    "docs/how-to/rate-limits-and-concurrency.md",
    "docs/how-to/schedule-jobs.md",
    "docs/reference/cli.md",
)
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
PARSE = """
const vm = require("node:vm");
for (const [where, text] of JSON.parse(require("node:fs").readFileSync(0, "utf-8"))) {
  const body = text.replace(/^import .*$/gm, "").replace(/import\\.meta/g, "meta");
  try {
    new vm.Script(`(async () => {${body}\\n})`);
  } catch (error) {
    console.log(where, error.message);
  }
}
"""


@pytest.mark.parametrize("name", SESSIONS)
def test_session_of_the_page_prints_what_it_says(name: str, reader: Path) -> None:
    assert play_session(ROOT / name, reader) > 0


def test_session_that_prints_something_else_is_noticed(reader: Path) -> None:
    page = reader / "page.md"
    page.write_text("```python\nprint(1)  # -> 1\nprint(2)  # -> 3\n```\n", encoding="utf-8")

    with pytest.raises(AssertionError, match=r"page.md, line 2: it printed \['1', '2'\]"):
        play_session(page, reader)


@pytest.mark.parametrize("name", SESSIONS)
def test_session_of_the_page_can_be_pasted(name: str) -> None:
    assert stumbles_of(ROOT / name) == []


def test_lines_that_cannot_be_pasted_are_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    blank_inside = "```python\nif True:\n    print(1)\n\n    print(2)\n```\n"
    no_blank_behind = "```python\nif True:\n    print(3)\nprint(4)\n```\n"
    page.write_text(blank_inside + no_blank_behind, encoding="utf-8")

    assert stumbles_of(page) == [5, 10]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_of_every_page_can_be_read(page: Path) -> None:
    snippets = snippets_of(page)

    assert [snippet.line for snippet in snippets if not _can_be_read(snippet)] == []


def test_every_page_is_in_the_index() -> None:
    folder = ROOT / "docs"
    linked = re.findall(r"\]\(([^)]+)\)", (folder / "README.md").read_text(encoding="utf-8"))
    pages = {str(page.relative_to(folder)) for page in folder.rglob("*.md")} - {"README.md"}

    assert {page for page in pages if not page.startswith("decisions/")} == set(linked) - {
        "decisions"
    }


def test_python_of_every_page_is_run_by_a_test() -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    generated = {"python-api.md"}

    assert [
        page.name
        for page in PAGES
        if snippets_of(page) and page.name not in generated and page.name not in tests
    ] == []


def test_every_python_fence_is_one_that_is_found() -> None:
    for page in PAGES:
        fences = re.findall(r"^```python", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(fences) == len(snippets_of(page)), page


def test_javascript_of_the_pages_can_be_read() -> None:
    try:
        node = find_node()
    except RuntimeMissing as error:
        pytest.skip(str(error))
    programs = [
        (page.name, body)
        for page in PAGES
        for language, _, body in FENCE.findall(page.read_text(encoding="utf-8"))
        if language == "js"
    ]

    done = subprocess.run(
        [node.program, "-e", PARSE],
        input=json.dumps(programs),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert "" == done.stdout
    assert len(programs) > 20


def _can_be_read(snippet: Snippet) -> bool:
    try:
        snippet.compiled()
    except SyntaxError:
        return False
    return True
