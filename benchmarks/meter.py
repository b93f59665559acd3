"""Counts handlers' runs in a file that all processes of a run share.

The standard library alone: each system's own environment, and every forked worker, imports it.

The file is mapped into memory and is made of 64-bit floats. Four at its head (``HEAD``): how many
slots were claimed, how many there are. Then the slots, ``FIELDS`` floats each: how many handlers
ended, when the first began, when the last ended. A process writes to a slot of its own, so that no
lock is needed for a job; the sum over all slots is what was done. The last ``FOREIGN`` slots
are never claimed: programs that cannot lock the file (Node) get one of them by its number.

Latencies are rare (some hundreds a second), so each is one small write to a second file, which the
system appends atomically.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading
import time
from array import array
from pathlib import Path

HEAD = 4
FIELDS = 4
FOREIGN = 16
CLAIMED, SLOTS = 0, 1
ENDED, FIRST, LAST = 0, 1, 2
FLOAT = 8
DEFAULT_SLOTS = 512


class Meter:
    """Counts the runs of handlers; for handlers on an event loop or one at a time in a process.

    Forked children are told apart by themselves. Handlers in threads take ``ThreadMeter``.

    Args:
        path: the file, made by ``create``.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with self.path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._floats = memoryview(self._map).cast("d")
        self._slot = 0
        self._latencies = -1
        os.register_at_fork(after_in_child=self._forget)

    @classmethod
    def create(cls, path: str | os.PathLike[str], *, slots: int = DEFAULT_SLOTS) -> Meter:
        """Make an empty file.

        Args:
            path: where.
            slots: at most how many processes or threads count; a system that forks for every
                job needs one a job.
        """
        floats = array("d", bytes(FLOAT * (HEAD + FIELDS * (slots + FOREIGN))))
        floats[SLOTS] = slots
        Path(path).write_bytes(floats.tobytes())
        _latency_path(Path(path)).write_bytes(b"")
        return cls(path)

    def begin(self) -> None:
        """A handler begins."""
        floats, slot = self._floats, self._slot or self._claim()
        if not floats[slot + FIRST]:
            floats[slot + FIRST] = time.time()

    def end(self) -> None:
        """A handler ends."""
        floats, slot = self._floats, self._slot or self._claim()
        floats[slot + LAST] = time.time()
        floats[slot] += 1

    def late(self, due: float) -> None:
        """A handler begins whose job was due at a time (seconds since the epoch)."""
        late = time.time() - due
        if self._latencies < 0:
            self._latencies = os.open(_latency_path(self.path), os.O_WRONLY | os.O_APPEND)
        os.write(self._latencies, struct.pack("d", late))

    def total(self) -> int:
        """How many handlers have ended, in all processes."""
        return int(sum(self._column(ENDED)))

    def first(self) -> float:
        """When the first handler began; 0 if none has."""
        return min((value for value in self._column(FIRST) if value), default=0.0)

    def last(self) -> float:
        """When the last handler ended; 0 if none has."""
        return max(self._column(LAST), default=0.0)

    def begun(self) -> int:
        """How many processes or threads have begun a handler."""
        return sum(1 for value in self._column(FIRST) if value)

    def latencies(self) -> list[float]:
        """What ``late`` noted, in seconds, in any order."""
        values = array("d")
        values.frombytes(_latency_path(self.path).read_bytes())
        return list(values)

    def _column(self, field: int) -> list[float]:
        floats = self._floats
        claimed, slots = int(floats[CLAIMED]), int(floats[SLOTS])
        numbers = [*range(claimed), *range(slots, slots + FOREIGN)]
        return [floats[HEAD + FIELDS * number + field] for number in numbers]

    def _claim(self) -> int:
        self._slot = self._new_slot()
        return self._slot

    def _new_slot(self) -> int:
        with self.path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            number = int(self._floats[CLAIMED])
            if number >= self._floats[SLOTS]:
                raise RuntimeError(f"the meter has {number} slots, and all are taken")
            self._floats[CLAIMED] = number + 1
        return HEAD + FIELDS * number

    def _forget(self) -> None:
        self._slot = 0
        self._latencies = -1


class ThreadMeter(Meter):
    """Counts the runs of handlers that run in threads: each thread has a slot of its own."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._local = threading.local()
        super().__init__(path)

    def begin(self) -> None:
        """A handler begins."""
        slot = getattr(self._local, "slot", 0) or self._claim()
        if not self._floats[slot + FIRST]:
            self._floats[slot + FIRST] = time.time()

    def end(self) -> None:
        """A handler ends."""
        slot = getattr(self._local, "slot", 0) or self._claim()
        self._floats[slot + LAST] = time.time()
        self._floats[slot] += 1

    def _claim(self) -> int:
        self._local.slot = self._new_slot()
        return int(self._local.slot)

    def _forget(self) -> None:
        super()._forget()
        self._local = threading.local()


def _latency_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.latencies")
