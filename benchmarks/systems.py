"""The systems that can be measured: what stands in ``benchmarks/peers``."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PEERS = Path(__file__).parent / "peers"
OURS = ("oxcart", "floor")
CONSTANTS = ("LACKS", "SERVER", "MOST_JOBS", "PROCESSES")
"""What an adapter says about itself, as plain values."""
_NODE_CONSTANT = re.compile(r"^(?:export )?const (\w+) = (.+);$", re.MULTILINE)


class UnknownSystem(Exception):
    """There is no such folder in ``benchmarks/peers``; says which there are."""


@dataclass(frozen=True)
class System:
    """A system and its adapter.

    Attributes:
        name: as it stands in the results.
        folder: its folder in ``benchmarks/peers``.
        lacks: what it does not do, from the adapter's ``LACKS``.
        server: ``redis`` or ``postgresql``, from the adapter's ``SERVER``.
        most_jobs: a slow system runs at most so many jobs in a run, from ``MOST_JOBS``.
        processes: how many processes its worker has, from ``PROCESSES``.
        about: the first line of the adapter's description.
    """

    name: str
    folder: Path
    lacks: tuple[str, ...]
    server: str
    most_jobs: int | None
    processes: int
    about: str

    @property
    def adapter(self) -> Path:
        """The program that plays the roles."""
        return _adapter_in(self.folder)

    @property
    def is_node(self) -> bool:
        """Whether Node runs the adapter."""
        return self.adapter.suffix == ".mjs"


def all_systems() -> list[System]:
    """Every system that has an adapter; ours first, then by name."""
    found = [_read(folder) for folder in sorted(PEERS.iterdir()) if _has_adapter(folder)]
    return sorted(found, key=_order)


def find_systems(names: str) -> list[System]:
    """The systems of a comma-separated list; ``all`` names every one.

    Raises:
        UnknownSystem: one of them does not exist.
    """
    known = {system.name: system for system in all_systems()}
    if names == "all":
        return list(known.values())
    wanted = [name.strip().replace("_", "-") for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise UnknownSystem(f"no system {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in wanted]


def _order(system: System) -> tuple[int, str]:
    return OURS.index(system.name) if system.name in OURS else len(OURS), system.name


def _has_adapter(folder: Path) -> bool:
    return _adapter_in(folder).exists()


def _adapter_in(folder: Path) -> Path:
    python = folder / "adapter.py"
    return python if python.exists() else folder / "adapter.mjs"


def _read(folder: Path) -> System:
    text = _adapter_in(folder).read_text(encoding="utf-8")
    is_node = _adapter_in(folder).suffix == ".mjs"
    constants, about = _read_node(text) if is_node else _read_python(text)
    return System(
        name=folder.name.replace("_", "-"),
        folder=folder,
        lacks=tuple(constants.get("LACKS", ())),
        server=constants.get("SERVER", "redis"),
        most_jobs=constants.get("MOST_JOBS"),
        processes=constants.get("PROCESSES", 1),
        about=about,
    )


def _read_python(text: str) -> tuple[dict[str, Any], str]:
    """The constants of an adapter without importing it: its libraries are not installed here."""
    tree = ast.parse(text)
    constants = {}
    for node in tree.body:
        target = node.target if isinstance(node, ast.AnnAssign) else _first_target(node)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and target.id in CONSTANTS and value is not None:
            constants[target.id] = ast.literal_eval(value)
    return constants, (ast.get_docstring(tree) or "").partition("\n")[0]


def _first_target(node: ast.stmt) -> ast.expr | None:
    return node.targets[0] if isinstance(node, ast.Assign) else None


def _read_node(text: str) -> tuple[dict[str, Any], str]:
    constants = {
        name: json.loads(value) for name, value in _NODE_CONSTANT.findall(text) if name in CONSTANTS
    }
    about = next((line.strip("/* ") for line in text.splitlines() if line.strip("/* ")), "")
    return constants, about
