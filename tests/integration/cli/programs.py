"""The ``oxcart`` command as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from oxcart.settings import ENVIRONMENT

OURS = {name for names in ENVIRONMENT.values() for name in names}


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """An environment in which only the given settings are set."""
    outside = {name: value for name, value in os.environ.items() if name not in OURS}
    return outside | {"OXCART_DATA_DIR": str(folder / "data")} | variables


def run(*arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "oxcart", *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def running(
    *arguments: str, env: Mapping[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command in the background; it is killed at the end if it still runs."""
    with (folder / "output.log").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "oxcart", *arguments],
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()


def processes_of(folder: Path) -> list[int]:
    """The ids of all processes whose environment or command line names a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            text = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in text and (entry / "cmdline").read_bytes():
            found.append(int(entry.name))
    return found
