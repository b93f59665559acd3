"""The ledger of a trial: a file outside Redis to which producers and handlers append lines.

A line is a kind, the job's reference, ``queue:id``, a process id and the time in milliseconds. The
reference is chosen by the producer before the job is added; its first letter says how the job must
end. Appended lines outlive the process that wrote them.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

TRIED, ACKNOWLEDGED, REFUSED, BEGUN, ENDED = "TARBE"
GOOD, RETRIED, DOOMED, POISON, SCHEDULED = "grxps"
"""First letters of references, by how a job must end: completed; completed after retries; failed by
its handler; failed after deaths. The last one is for the jobs of schedulers."""


class LedgerWriter:
    """Appends lines to a ledger, each call in one write."""

    def __init__(self, path: str | Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, kind: str, reference: str, place: str = "-") -> None:
        """Append one line."""
        self.write_all(kind, [(reference, place)])

    def write_all(self, kind: str, jobs: Iterable[tuple[str, str]]) -> None:
        """Append one line for each job."""
        end = f"{os.getpid()} {int(time.time() * 1000)}\n"
        text = "".join(f"{kind} {reference} {place} {end}" for reference, place in jobs)
        os.write(self._file, text.encode())

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


@dataclass(slots=True)
class Record:
    """What the ledger says of one job.

    Attributes:
        place: ``queue:id``, once an add was acknowledged or a run has begun.
        is_tried: a producer tried to add it.
        is_acknowledged: an add returned its id.
        begun: how many runs have begun.
        ended: how many runs reached their end.
    """

    place: str = "-"
    is_tried: bool = False
    is_acknowledged: bool = False
    begun: int = 0
    ended: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a ledger."""

    kind: str
    reference: str
    place: str
    pid: int
    at_ms: int

    @property
    def job_id(self) -> str:
        """The id without the queue."""
        return self.place.partition(":")[2]


@dataclass(slots=True)
class Tally:
    """The jobs of a ledger, counted line by line.

    Attributes:
        records: what is known of each job, by its reference.
        refusals: how many adds were refused.
        other_ids: references under which a second job id ran or was acknowledged.
    """

    records: dict[str, Record] = field(default_factory=dict)
    refusals: int = 0
    other_ids: Counter[str] = field(default_factory=Counter)

    def count(self, line: Line) -> None:
        """Count one line."""
        record = self.records.get(line.reference)
        if record is None:
            record = self.records[line.reference] = Record()
        if line.kind == REFUSED:
            self.refusals += 1
        elif line.place not in ("-", record.place):
            if record.place != "-":
                self.other_ids[line.reference] += 1
            record.place = line.place
        if line.kind == BEGUN:
            record.begun += 1
        elif line.kind == ENDED:
            record.ended += 1
        elif line.kind == ACKNOWLEDGED:
            record.is_acknowledged = True
        elif line.kind == TRIED:
            record.is_tried = True

    def of_kind(self, kinds: str) -> Iterator[tuple[str, Record]]:
        """The jobs whose reference begins with one of these letters."""
        return (item for item in self.records.items() if item[0][0] in kinds)

    @property
    def acknowledged_count(self) -> int:
        """How many adds were acknowledged."""
        return sum(record.is_acknowledged for record in self.records.values())


def lines_of(path: Path, *, start: int = 0) -> Iterator[Line]:
    """Read a ledger line by line.

    Args:
        path: the file; a missing one has no lines.
        start: how many bytes are skipped.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(start)
        for raw in file:
            if not raw.endswith(b"\n"):
                break
            kind, reference, place, pid, at_ms = raw.decode().split()
            yield Line(kind, reference, place, int(pid), int(at_ms))


def count_new(path: Path, start: int, tally: Tally) -> tuple[int, list[Line]]:
    """Count the lines that were appended since a position.

    Returns:
        The next position, and the lines.
    """
    lines: list[Line] = []
    if not path.exists():
        return start, lines
    with path.open("rb") as file:
        file.seek(start)
        text = file.read(64 << 20)
    text = text[: text.rfind(b"\n") + 1]
    for raw in text.splitlines():
        kind, reference, place, pid, at_ms = raw.decode().split()
        line = Line(kind, reference, place, int(pid), int(at_ms))
        tally.count(line)
        lines.append(line)
    return start + len(text), lines


def tally_of(path: Path) -> Tally:
    """Count a ledger."""
    tally = Tally()
    for line in lines_of(path):
        tally.count(line)
    return tally
