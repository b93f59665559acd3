"""Makes the blocking twin of the asyncio API: the same code without ``async`` and ``await``.

Works on tokens, so that comments and layout stay. What has no blocking counterpart (joining
concurrent adds, cancelling a wait) is not in the sources listed here but in modules of its own,
with a handwritten twin of the same name in ``_sync``.
"""

from __future__ import annotations

import argparse
import ast
import io
import keyword
import re
import sys
import tokenize
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tokenize import TokenInfo

import layout  # beside this script

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/oxcart"
TARGET = PACKAGE / "_sync"

SHARED = {"__init__", "sending"}
"""Modules of ``_queue`` that do no I/O, and serve both."""
HANDWRITTEN = {"joining"}
"""Modules of ``_queue`` whose twin is written by hand."""
SINGLE = ("queue", "job", "flow", "events")
"""Modules outside ``_queue`` that have a twin."""

MODULES = {
    "oxcart._engine.results": "oxcart._sync.results",
    "oxcart._queue.joining": "oxcart._sync.joining",
    "oxcart._store.blocking": "oxcart._store.sync_blocking",
    "oxcart._store.store": "oxcart._store.sync_store",
}
"""Where the handwritten twins of imported modules are; those of the generated ones are added."""

NAMES = {
    "AsyncIterator": "Iterator",
    "BlockingConnection": "SyncBlockingConnection",
    "Store": "SyncStore",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "aclose": "close",
    "asyncio": "time",  # of it the sources use ``sleep`` alone
    "aurl": "url",
}

TEXTS = (
    (r"``aclose``", "``close``"),
    (r"\basync (for|with) ", r"\1 "),
    (r"\basync iterator\b", "iterator"),
    (r" joined with concurrent callers,", ""),
    (r"``oxcart\.(Queue|Job|FlowProducer|QueueEvents)\b", r"``oxcart.sync.\1"),
    (
        r" +Concurrent calls are joined into batches: the first goes out at once, those that come\n"
        r" +meanwhile go out together\.\n\n",
        "",
    ),
    (
        r"Connections are opened when they are first needed\. (Every|On)\b",
        r"It blocks, and may be shared by threads.\n\n"
        r"    Connections are opened when they are first needed. \1",
    ),
)
"""What is said otherwise in docstrings and comments; each must be found somewhere."""

_SPACE = re.compile(r"\s+")
_ASYNC_CODES = re.compile(r"ASYNC\d+,? ?")

Edit = tuple[tuple[int, int], tuple[int, int], str]
"""Where it starts, where it ends, and what stands there afterwards."""


def sources() -> dict[str, Path]:
    """The asyncio modules by the name of their twin."""
    found = {name: PACKAGE / f"{name}.py" for name in SINGLE}
    for path in sorted((PACKAGE / "_queue").glob("*.py")):
        if path.stem not in SHARED | HANDWRITTEN:
            found[path.stem] = path
    return found


class Twins:
    """Turns asyncio sources into blocking ones.

    Args:
        found: the sources by the name of their twin.
    """

    def __init__(self, found: dict[str, Path]) -> None:
        self._found = found
        self._modules = dict(MODULES)
        for name, path in found.items():
            parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
            self._modules[".".join(parts)] = f"oxcart._sync.{name}"
        self._unused_texts = {pattern for pattern, _ in TEXTS}

    def all(self) -> dict[Path, str]:
        """The text of each generated file, by its path.

        Raises:
            SystemExit: a source cannot be turned, or a rule is used nowhere.
        """
        rough = {name: self._twin_of(path) for name, path in self._found.items()}
        if self._unused_texts:
            sys.exit(f"rules that change nothing: {sorted(self._unused_texts)}")
        targets = [TARGET / f"{name}.py" for name in rough]
        with ThreadPoolExecutor() as threads:
            return dict(zip(targets, threads.map(_tidied, targets, rough.values()), strict=True))

    def _twin_of(self, path: Path) -> str:
        source = path.read_text(encoding="utf-8")
        _check(source, path)
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
        docstrings = _docstring_starts(source)
        edits: list[Edit] = []
        for index, token in enumerate(tokens):
            edits += self._edits_at(tokens, index, is_docstring=token.start in docstrings)
        text = self._with_modules(_edited(source, edits))
        where = path.relative_to(ROOT)
        return f"# Generated from {where} by scripts/generate-sync: change that one.\n{text}"

    def _edits_at(
        self, tokens: Sequence[TokenInfo], index: int, *, is_docstring: bool
    ) -> Iterator[Edit]:
        token = tokens[index]
        if token.type == tokenize.COMMENT:
            yield token.start, token.end, self._said_otherwise(_without_async_codes(token.string))
        elif is_docstring:
            yield token.start, token.end, self._said_otherwise(token.string)
        elif token.string in {"async", "await"} and token.type == tokenize.NAME:
            yield token.start, tokens[index + 1].start, ""
            if token.string == "await":
                yield from _needless_parentheses(tokens, index)
        elif token.type == tokenize.NAME and token.string in NAMES:
            yield token.start, token.end, NAMES[token.string]

    def _said_otherwise(self, text: str) -> str:
        for pattern, instead in TEXTS:
            text, count = re.subn(pattern, instead, text)
            if count:
                self._unused_texts.discard(pattern)
        return text

    def _with_modules(self, source: str) -> str:
        def moved(line: re.Match[str]) -> str:
            return f"from {self._modules.get(line[1], line[1])} import"

        return re.sub(r"^from ([\w.]+) import", moved, source, flags=re.MULTILINE)


def _check(source: str, path: Path) -> None:
    """Refuse what would be turned into something wrong."""
    for node in ast.walk(ast.parse(source)):
        where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "asyncio" and node.attr != "sleep":
                sys.exit(f"{where}: asyncio.{node.attr} has no blocking counterpart")
        elif isinstance(node, ast.JoinedStr):
            inner = list(ast.walk(node))
            names = {item.id for item in inner if isinstance(item, ast.Name)}
            names |= {item.attr for item in inner if isinstance(item, ast.Attribute)}
            if names & NAMES.keys() or any(isinstance(item, ast.Await) for item in inner):
                sys.exit(f"{where}: nothing within an f-string is changed; take it out")


def _docstring_starts(source: str) -> set[tuple[int, int]]:
    """Where the strings stand that are statements: docstrings, and those below constants."""
    return {
        (node.lineno, node.col_offset)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


def _without_async_codes(comment: str) -> str:
    """A comment without the asyncio rules that it switches off, and so maybe without anything."""
    if "noqa" not in comment:
        return comment
    left = _ASYNC_CODES.sub("", comment)
    return "" if re.match(r"# noqa:\s*(#|$)", left) else left


def _needless_parentheses(tokens: Sequence[TokenInfo], index: int) -> Iterator[Edit]:
    """The parentheses of ``(await a.b(c)).d``, which nothing needs without ``await``."""
    opening = tokens[index - 1]
    before = tokens[index - 2].string
    is_call = bool(re.match(r"[\w)\]]", before)) and not keyword.iskeyword(before)
    if opening.string != "(" or is_call:
        return
    depth = 0
    for token in tokens[index + 1 :]:
        if token.string == ")" and depth == 0:
            yield opening.start, opening.end, ""
            yield token.start, token.end, ""
            return
        if depth == 0 and not re.fullmatch(r"[\w.(\[]+", token.string):
            return
        if depth == 0 and keyword.iskeyword(token.string):
            return
        depth += (token.string in "([{") - (token.string in ")]}")


def _edited(source: str, edits: Sequence[Edit]) -> str:
    lines = source.splitlines(keepends=True)
    for start, end, instead in sorted(edits, reverse=True):
        first, last = start[0] - 1, end[0] - 1
        joined = lines[first][: start[1]] + instead + lines[last][end[1] :]
        lines[first : last + 1] = [joined]
    return "".join(lines)


def _tidied(target: Path, source: str) -> str:
    """The source as ruff leaves it: sorted imports, none unused, the house's layout."""
    fixes = ["--fix", "--fixable", "I001,F401,F811,RUF100", "--ignore", "E501,W291"]
    command = [*layout.RUFF, "check", *fixes, "--stdin-filename", str(target), "-"]
    return layout.formatted(target, layout.piped(command, source))


def main() -> int:
    """Write the twins, or with ``--check`` tell which are stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare")
    is_check = parser.parse_args().check
    wanted = Twins(sources()).all()
    kept = {TARGET / f"{name}.py" for name in {"__init__", "results", *HANDWRITTEN}}
    gone = set(TARGET.glob("*.py")) - wanted.keys() - kept
    stale = [
        path
        for path, text in wanted.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in [*stale, *sorted(gone)]:
        print(f"{'stale' if is_check else 'changed'}: {path.relative_to(ROOT)}")
    if is_check:
        return 1 if stale or gone else 0
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")
    for path in gone:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
