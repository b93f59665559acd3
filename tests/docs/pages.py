"""Runs a page of the documentation as a reader would: files are written, commands are run.

A fence ``python title="x.py"`` is a file. A fence ``console`` holds commands behind ``$``, each
followed by what it prints; a command that ends in ``&`` runs until the page is over.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


def play(page: Path, folder: Path) -> int:
    """Play a page in an empty folder; how many commands it ran.

    Raises:
        AssertionError: a command printed something else than the page says.
    """
    commands = 0
    with ExitStack() as stack:
        for language, title, body in FENCE.findall(page.read_text(encoding="utf-8")):
            if title:
                (folder / title).write_text(body, encoding="utf-8")
            elif language == "console":
                for command, expected in COMMAND.findall(body):
                    commands += 1
                    if command.endswith("&"):
                        stack.enter_context(_background(command.rstrip("& "), folder))
                    else:
                        assert expected == _run(command, folder), f"{page.name}: $ {command}"
    return commands


def _run(command: str, folder: Path) -> str:
    done = subprocess.run(
        command.split(),
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
    return done.stdout


@contextmanager
def _background(command: str, folder: Path) -> Iterator[None]:
    process = subprocess.Popen(command.split(), cwd=folder, env=_environment())
    try:
        yield
        assert process.poll() is None, f"$ {command} & ended by itself"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, f"$ {command} & did not stop cleanly"


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OXCART_")}
    kept.pop("REDIS_URL", None)
    kept.pop("PYTHONPATH", None)
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"}
