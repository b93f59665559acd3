"""This process, and whether another process of this host is still running."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

from oxcart._model.registry import ProcessInfo

_STARTED_FIELD = 19
"""Position of the start time in ``/proc/<pid>/stat``, counted after the command's name."""


def this_process() -> ProcessInfo:
    """The running process."""
    return _process(os.getpid())


def parent_process() -> ProcessInfo:
    """The process that started this one."""
    return _process(os.getppid())


def _process(pid: int) -> ProcessInfo:
    host, boot, namespace = _surroundings()
    return ProcessInfo(
        host=host, boot=boot, namespace=namespace, pid=pid, started=_started_at(pid) or 0
    )


def is_running(process: ProcessInfo) -> bool | None:
    """Whether a process still runs; ``None`` if it cannot be seen from here."""
    here = _surroundings()
    if not all(here) or (process.host, process.boot, process.namespace) != here:
        return None  # without these ids, another host may have the same name
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is there, and belongs to another user
        pass
    if not process.started:
        return True
    started = _started_at(process.pid)
    return started is None or started == process.started


def _started_at(pid: int) -> int | None:
    """When a process started; 0 for one that has ended and only waits for its exit code to be read.

    ``None`` where the system does not say.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[_STARTED_FIELD])


@cache
def _surroundings() -> tuple[str, str, str]:
    return socket.gethostname(), _read("/proc/sys/kernel/random/boot_id"), _namespace()


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
