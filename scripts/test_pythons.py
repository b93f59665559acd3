"""Runs the core of the suite on every other Python at hand, each in an environment of its own.

A Python is looked for by name on PATH and in pyenv. One that is missing, or for which the locked
packages have no wheels, is reported in a line and is no failure.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

VERSIONS = ("3.12", "3.13", "3.14")
SUITES = (
    "tests/unit/engine", "tests/unit/model", "tests/unit/store", "tests/unit/wire",
    "tests/integration/worker", "tests/integration/engine",
)  # fmt: skip
TEST_PACKAGES = (
    "attrs", "execnet", "hypothesis", "iniconfig", "packaging", "pluggy", "pygments", "pytest",
    "pytest-asyncio", "pytest-randomly", "pytest-timeout", "pytest-xdist", "sortedcontainers",
)  # fmt: skip
ROOT = Path(__file__).resolve().parent.parent
_BLOCK = re.compile(r"^([a-z0-9-]+)==.*(?:\n    .*)*", re.MULTILINE)


def find(version: str) -> Path | None:
    """Return the interpreter of a version that can run the suite."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [Path(path)] if (path := shutil.which(f"python{version}")) else []
    found += sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)
    check = f"import ssl, sqlite3, sys, venv; sys.exit(sys.version_info[:2] != {_pair(version)})"
    return next((path for path in found if _runs([path, "-c", check], quiet=True)), None)


def prepare(python: Path, folder: Path) -> bool:
    """Make an environment with the locked packages; returns whether there are wheels of all."""
    binary = folder / "bin/python"
    mark = folder / "ready"
    wanted = _requirements()
    if mark.exists() and mark.read_text() == wanted:
        return True
    shutil.rmtree(folder, ignore_errors=True)
    _runs([python, "-m", "venv", folder])
    listed = folder / "requirements.txt"
    listed.write_text(wanted)
    pip = [binary, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", "install"]
    own = ["--no-build-isolation", "--no-deps", "--editable", ROOT]
    locked = ["--require-hashes", "--only-binary", ":all:", "-r", listed]
    if not _runs([*pip, *locked]) or not _runs([*pip, *own]):
        return False
    mark.write_text(wanted)
    return True


def _requirements() -> str:
    """The locked packages that the program needs, and those that its tests need."""
    pinned = (ROOT / "requirements/run.txt").read_text()
    names = {match[1] for match in _BLOCK.finditer(pinned)}
    lines = [
        match[0]
        for match in _BLOCK.finditer((ROOT / "requirements/dev.txt").read_text())
        if match[1] in TEST_PACKAGES and match[1] not in names
    ]
    return pinned + "\n".join(lines) + "\n"


def _runs(command: list[object], *, quiet: bool = False) -> bool:
    output = subprocess.DEVNULL if quiet else None
    words = [str(word) for word in command]
    return subprocess.run(words, check=False, stdout=output, stderr=output).returncode == 0  # noqa: S603  # our own words


def _pair(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def test(version: str) -> tuple[str, bool]:
    """Run the suites on one Python; returns what it printed, and whether nothing failed."""
    python = find(version)
    if python is None:
        return f"python{version}: not found, not tested", True
    folder = ROOT / ".cache/pythons" / version
    if not prepare(python, folder):
        return f"python{version}: the locked packages cannot be installed, not tested", True
    # On the main Python they run on uvloop too.
    options = ["-q", "-n", os.environ.get("PYTEST_WORKERS", "2"), "-m", "not slow"]
    options += ["-k", "not uvloop"]
    command = [str(folder / "bin/python"), "-m", "pytest", *options, *sys.argv[1:], *SUITES]
    ended = subprocess.run(command, check=False, text=True, capture_output=True)  # noqa: S603  # our own words
    return f"python{version}: {python}\n{ended.stdout}{ended.stderr}", ended.returncode == 0


def main() -> int:
    """Run the suites on all Pythons at once, since they mostly wait; returns 1 if a test failed."""
    failed = []
    with ThreadPoolExecutor() as pool:
        for version, (output, is_good) in zip(VERSIONS, pool.map(test, VERSIONS), strict=True):
            print(output, flush=True)
            if not is_good:
                failed.append(version)
    if failed:
        print(f"failed on Python {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
