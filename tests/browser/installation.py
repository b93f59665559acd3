"""Bull Board's Node program with its packages, installed once for every test process."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.interop.live.runtime import Node, RuntimeMissing

SOURCE = Path(__file__).parent / "bull_board"
CACHE = Path(__file__).parents[2] / ".cache" / "bull-board"
PROGRAM = "server.mjs"
MANIFESTS = ("package.json", "package-lock.json")

_OUR_FAULTS = frozenset({"EUSAGE", "EJSONPARSE", "EINTEGRITY"})
"""What npm says when the manifests are wrong; anything else is about the machine or the network."""


def install(node: Node) -> Path:
    """Install the packages where they are missing, and give the program's path.

    Raises:
        RuntimeMissing: npm could not install them here.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with _locked(CACHE / "lock"):
        home = CACHE / _key()
        if not home.exists():
            _install_into(home, node)
        # The packages are found from where the program stands.
        shutil.copyfile(SOURCE / PROGRAM, home / f"{PROGRAM}.new")
        (home / f"{PROGRAM}.new").replace(home / PROGRAM)
    return home / PROGRAM


def _key() -> str:
    digest = hashlib.sha256()
    for name in MANIFESTS:
        digest.update((SOURCE / name).read_bytes())
    return digest.hexdigest()[:16]


def _install_into(home: Path, node: Node) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        # Made aside and renamed, so that what has the name is whole.
        aside = Path(folder) / "installed"
        aside.mkdir()
        for name in MANIFESTS:
            shutil.copyfile(SOURCE / name, aside / name)
        _run_npm(node, aside)
        aside.rename(home)


def _run_npm(node: Node, folder: Path) -> None:
    path = f"{Path(node.program).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    ended = subprocess.run(
        [*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        _give_up(ended.stderr)


def _give_up(output: str) -> None:
    code = re.search(r"npm (?:error|ERR!) code (\S+)", output)
    if code and code[1] in _OUR_FAULTS:
        raise AssertionError(f"npm refuses the manifests of Bull Board:\n{output}")
    said = code[1] if code else "no reason given"
    raise RuntimeMissing(f"npm cannot install Bull Board: {said}; is its registry reachable?")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a file lock: the processes of a run install one after the other."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
