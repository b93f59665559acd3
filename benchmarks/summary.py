"""What runs came to: medians and spread of every figure, by workload, case and system."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

Place = tuple[str, str, int]
"""A workload, the name of a case, its concurrency."""


@dataclass(frozen=True)
class Spread:
    """What the repetitions gave for one figure.

    Attributes:
        median: the middle one.
        least: the smallest.
        most: the largest.
    """

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of some values."""
        return cls(median(values), min(values), max(values))


@dataclass
class Run:
    """One run's file.

    Attributes:
        header: where, when and how it ran.
        rows: its measurements.
    """

    header: dict[str, Any]
    rows: list[dict[str, Any]]

    @classmethod
    def read(cls, path: Path) -> Run:
        """The run that a file keeps."""
        content = json.loads(path.read_text(encoding="utf-8"))
        return cls(content["header"], content["rows"])


@dataclass
class Summary:
    """The newest measurements of each workload.

    Attributes:
        runs: the runs that they are from, newest first.
        rows: the measurements.
    """

    runs: list[Run] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, paths: Iterable[Path]) -> Summary:
        """Take each workload from the newest run that has it."""
        summary = cls()
        taken: set[str] = set()
        runs = [Run.read(path) for path in paths]
        for run in sorted(runs, key=lambda run: str(run.header["date"]), reverse=True):
            rows = [row for row in run.rows if row["workload"] not in taken]
            if rows:
                summary.runs.append(run)
                summary.rows += rows
                taken |= {row["workload"] for row in rows}
        return summary

    def places(self, workload: str) -> list[Place]:
        """The cases of a workload that were measured, in their order."""
        rows = (row for row in self.rows if row["workload"] == workload)
        return list(dict.fromkeys((workload, row["case"], row["concurrency"]) for row in rows))

    def systems(self, place: Place) -> list[str]:
        """Who was measured there."""
        return list(dict.fromkeys(row["system"] for row in self._rows(place)))

    def spread(self, place: Place, system: str, key: str) -> Spread | None:
        """A figure of a system; ``None`` if there is none."""
        rows = self._rows(place)
        values = [row[key] for row in rows if row["system"] == system and key in row]
        return Spread.of(values) if values else None

    def median(self, place: Place, system: str, key: str) -> float | None:
        """The median of a figure of a system; ``None`` if there is none."""
        spread = self.spread(place, system, key)
        return None if spread is None else spread.median

    def errors(self) -> list[str]:
        """What could not be measured, and why, each once."""
        failed = (row for row in self.rows if "error" in row)
        return list(
            dict.fromkeys(f"{row['system']}, {row['workload']}: {row['error']}" for row in failed)
        )

    def versions(self) -> dict[str, dict[str, str]]:
        """What each system ran with."""
        return {row["system"]: row["versions"] for row in self.rows if "versions" in row}

    def _rows(self, place: Place) -> list[dict[str, Any]]:
        return [
            row for row in self.rows if (row["workload"], row["case"], row["concurrency"]) == place
        ]
