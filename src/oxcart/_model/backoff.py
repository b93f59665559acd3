"""How long to wait before the next attempt (wire format, section 7.6)."""

from __future__ import annotations

import math
from collections.abc import Callable

from oxcart._model.options import Backoff

MAX_DELAY_MS = 2**41
"""About 70 years: a doubling backoff stops growing here, well inside what a score can hold."""


def delay_ms(backoff: Backoff | None, attempts_made: int, random: Callable[[], float]) -> int:
    """Compute the wait after an attempt.

    Args:
        backoff: the job's policy; ``None`` means at once, and so does a kind that is not built in.
        attempts_made: how many attempts have failed, this one included (from 1).
        random: gives a number in [0, 1).

    Returns:
        Milliseconds; 0 means at once.
    """
    if backoff is None or not backoff.is_built_in:
        return 0
    base = backoff.delay_ms
    if backoff.kind == "exponential":
        # The exponent is bounded first: 2**attempts of a broken counter must not eat the memory.
        base = round(2 ** min(attempts_made - 1, 64) * backoff.delay_ms)
    base = min(base, MAX_DELAY_MS)
    if not backoff.jitter:
        return base
    return math.floor(random() * base * backoff.jitter + base * (1 - backoff.jitter))
