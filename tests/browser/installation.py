"""Bull Board's Node program with its packages, installed once for every test process."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.interop.live import runtime

SOURCE = Path(__file__).parent / "bull_board"
CACHE = Path(__file__).parents[2] / ".cache" / "bull-board"
PROGRAM = "server.mjs"


def install(node: runtime.Node) -> Path:
    """Install the packages where they are missing, and give the program's path.

    Raises:
        RuntimeMissing: npm could not install them here.
    """
    home = runtime.install(node, SOURCE, CACHE)
    # The packages are found from where the program stands. Other processes may read it just now.
    aside = home / f"{PROGRAM}.{os.getpid()}"
    shutil.copyfile(SOURCE / PROGRAM, aside)
    aside.replace(home / PROGRAM)
    return home / PROGRAM
