"""Reading a Dockerfile, and the builder's context that a ``.dockerignore`` leaves of a folder."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
_FLAG = re.compile(r"--([a-z-]+)=(\S+)\s+")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: ``RUN``, ``COPY`` and so on."""

    name: str
    flags: tuple[tuple[str, str], ...]
    text: str

    def flag(self, name: str) -> str | None:
        """The value of a flag such as ``--from``."""
        return dict(self.flags).get(name)

    def words(self) -> list[str]:
        """The arguments, of the JSON form or divided at blanks."""
        if self.text.startswith("["):
            return [str(word) for word in json.loads(self.text)]
        return self.text.split()


def instructions(path: Path = DOCKERFILE) -> list[Instruction]:
    """Read a Dockerfile."""
    found = []
    for line in _logical_lines(path.read_text(encoding="utf-8")):
        name, _, rest = line.partition(" ")
        flags = []
        while match := _FLAG.match(rest):
            flags.append((match[1], match[2]))
            rest = rest[match.end() :]
        found.append(Instruction(name, tuple(flags), rest.strip()))
    return found


def _logical_lines(text: str) -> Iterator[str]:
    kept = [
        line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    yield from re.sub(r"\s*\\\n\s*", " ", "\n".join(kept)).splitlines()


class Context:
    """What the builder is sent of a folder: all that ``.dockerignore`` does not leave out."""

    def __init__(self, folder: Path = ROOT) -> None:
        self._folder = folder
        lines = (folder / ".dockerignore").read_text(encoding="utf-8").splitlines()
        self._patterns = [line.strip() for line in lines if line.strip() and line[0] != "#"]

    def files(self, source: str) -> Iterator[tuple[Path, Path]]:
        """The files that copying a source gives: where they are, and their path below it.

        Raises:
            AssertionError: there is nothing to copy.
        """
        start = self._folder / source
        candidates = sorted(start.rglob("*")) if start.is_dir() else [start]
        found = [path for path in candidates if path.is_file() and self._is_sent(path)]
        assert found, f"COPY {source}: the context holds nothing of it"
        for path in found:
            yield path, path.relative_to(start if start.is_dir() else start.parent)

    def top_level(self) -> set[str]:
        """The names directly below the folder of which something is sent."""
        return {
            path.name
            for path in self._folder.iterdir()
            if any(self._is_sent(file) for file in self._some_files(path))
        }

    def _some_files(self, path: Path) -> Iterator[Path]:
        # Environments and caches are large and left out as a whole: their first level shows it.
        if path.is_file():
            yield path
        elif path.name.startswith(".") or path.name in ("build", "dist", "node_modules"):
            yield from (child for child in path.iterdir() if child.is_file())
        else:
            yield from (child for child in path.rglob("*") if child.is_file())

    def _is_sent(self, path: Path) -> bool:
        """The last pattern that matches the path or one of its folders decides, as in Docker."""
        relative = path.relative_to(self._folder)
        is_sent = True
        for pattern in self._patterns:
            wanted = pattern.removeprefix("!")
            if any(_matches(part, wanted) for part in (relative, *relative.parents[:-1])):
                is_sent = pattern.startswith("!")
        return is_sent


def _matches(path: Path, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatch.fnmatchcase(path.name, pattern[3:])
    return len(path.parts) == len(Path(pattern).parts) and fnmatch.fnmatchcase(str(path), pattern)
