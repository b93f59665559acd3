"""Generated text as ruff leaves it: what is checked for its age is checked for its layout too."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUFF = (sys.executable, "-m", "ruff")


def formatted(target: Path, text: str) -> str:
    """A file's text in the house's layout."""
    return piped([*RUFF, "format", "--stdin-filename", str(target), "-"], text)


def piped(command: Sequence[str], text: str) -> str:
    """What a command writes that reads a text. Ends the program if the command fails."""
    done = subprocess.run(  # noqa: S603  # ruff, over our own sources
        command, input=text, capture_output=True, text=True, check=False, cwd=ROOT
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-2_000:]}\n{done.stderr}")
    return done.stdout
