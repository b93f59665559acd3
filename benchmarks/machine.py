"""What a run's header tells: the machine, its load, the command, the date; no names of hosts."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.systems import ROOT


def header(server: str) -> dict[str, Any]:
    """The first object of a run."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": _command(),
        "machine": _machine(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "python": platform.python_version(),
        "server": server,
        "commit": _commit(),
    }


def _machine() -> dict[str, Any]:
    return {
        "processor": _first(r"model name\s*: (.+)", "/proc/cpuinfo") or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
    }


def _command() -> str:
    """The command as it was typed; a server's address may have a password."""
    words = list(sys.argv[1:])
    for index, word in enumerate(words):
        if word == "--redis-url" and index + 1 < len(words):
            words[index + 1] = "REDIS_URL"
        elif word.startswith("--redis-url="):
            words[index] = "--redis-url=REDIS_URL"
    return shlex.join(["python", "-m", "benchmarks", *words])


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return said.stdout.strip() or None


def _first(pattern: str, path: str) -> str | None:
    try:
        found = re.search(pattern, Path(path).read_text(encoding="utf-8"))
    except OSError:
        return None
    return found[1] if found else None
