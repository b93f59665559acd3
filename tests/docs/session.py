"""Runs a page of the documentation as one session, as ``python -m asyncio`` would run it.

Every fence ``python`` of the page is run in order, in one scope and one event loop, with ``await``
allowed at the top. What a fence prints must be what its comments ``# -> ...`` say, line by line.
A fence ``python title="x.py"`` is a file, which later fences may import.
"""

from __future__ import annotations

import ast
import asyncio
import codeop
import contextlib
import io
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

FENCE = re.compile(r"^```python(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SAID = re.compile(r"# -> (.*)$", re.MULTILINE)
LONGEST_S = 60


@dataclass(frozen=True, slots=True)
class Snippet:
    """A fence of a page.

    Attributes:
        page: the page.
        line: where its first line stands.
        text: the program.
        title: the name of the file that it is, if it is one.
    """

    page: Path
    line: int
    text: str
    title: str

    @property
    def printed(self) -> list[str]:
        """What it prints, as it says itself."""
        return SAID.findall(self.text)

    def compiled(self) -> CodeType:
        """The program, whose tracebacks name the page and its lines."""
        text = "\n" * (self.line - 1) + self.text
        flags = 0 if self.title else ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code: CodeType = compile(text, str(self.page), "exec", flags=flags, dont_inherit=True)
        return code


def snippets_of(page: Path) -> list[Snippet]:
    """The Python of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Snippet(page, text.count("\n", 0, fence.start(2)) + 1, fence[2], fence[1] or "")
        for fence in FENCE.finditer(text)
    ]


def stumbles_of(page: Path) -> list[int]:
    """The lines that a reader cannot paste into ``python -m asyncio``.

    There, a blank line ends an indented block, and nothing else does.
    """
    compiler = codeop.CommandCompiler()
    compiler.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    stumbles: list[int] = []
    for snippet in snippets_of(page):
        if not snippet.title:
            lines = enumerate([*snippet.text.splitlines(), ""], start=snippet.line)
            stumbles += _stumbles(compiler, lines)
    return stumbles


def _stumbles(compiler: codeop.CommandCompiler, lines: Iterable[tuple[int, str]]) -> Iterator[int]:
    pending: list[str] = []
    for number, line in lines:
        pending.append(line)
        try:
            is_complete = compiler("\n".join(pending)) is not None
        except SyntaxError:
            yield number
            is_complete = True
        if is_complete:
            pending.clear()


def play_session(page: Path, folder: Path) -> int:
    """Run a page's snippets; how many were run.

    Raises:
        AssertionError: a snippet printed something else than it says.
    """
    snippets = snippets_of(page)
    for snippet in snippets:
        if snippet.title:
            (folder / snippet.title).write_text(snippet.text, encoding="utf-8")
    scope: dict[str, Any] = {"__name__": page.stem}
    modules = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        asyncio.run(_play([item for item in snippets if not item.title], scope))
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - modules:
            if getattr(sys.modules[name], "__file__", None) == str(folder / f"{name}.py"):
                del sys.modules[name]
    return len(snippets)


async def _play(snippets: list[Snippet], scope: dict[str, Any]) -> None:
    for snippet in snippets:
        output = io.StringIO()
        async with asyncio.timeout(LONGEST_S):
            with contextlib.redirect_stdout(output):
                await _run(snippet, scope)
        printed = output.getvalue().splitlines()
        where = f"{snippet.page.name}, line {snippet.line}: it printed {printed}"
        assert snippet.printed == printed, where


async def _run(snippet: Snippet, scope: dict[str, Any]) -> None:
    result = eval(snippet.compiled(), scope)  # noqa: S307  # our own documentation
    if asyncio.iscoroutine(result):
        await result
