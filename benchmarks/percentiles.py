"""Percentiles and medians of what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence

PERCENTS = (50, 95, 99)


def percentiles_us(seconds: Sequence[float]) -> dict[str, float]:
    """The percentiles of some durations, in microseconds; nothing for none."""
    if not seconds:
        return {}
    ordered = sorted(seconds)
    figures = {f"p{percent}_us": _us(_percentile(ordered, percent)) for percent in PERCENTS}
    return {**figures, "max_us": _us(ordered[-1]), "samples": len(ordered)}


def _percentile(ordered: Sequence[float], percent: float) -> float:
    """The nearest rank: a value that was measured."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def _us(seconds: float) -> float:
    return round(seconds * 1e6, 1)
