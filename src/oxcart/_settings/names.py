"""Names of variables: those that are nobody's, most likely misspelt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from oxcart._settings.values import Problem

PREFIX = "OXCART_"
INTERNAL = frozenset({"OXCART_LIFELINE_FD", "OXCART_SUPERVISOR"})
"""What oxcart's processes tell each other."""
_NEAR = 0.8
# Kubernetes sets these in every pod for a Service whose name begins with "oxcart".
_SERVICE_LINK = re.compile(
    r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$"
)


def misspelt(environ: Mapping[str, str], known: Iterable[str]) -> list[Problem]:
    """Every variable of ours that does not exist, but nearly does."""
    known = sorted(known)
    return [
        Problem(name, f"is no setting of oxcart's; did you mean {near[0]}?")
        for name in _unknown(environ, known)
        if (near := get_close_matches(name, known, n=1, cutoff=_NEAR))
    ]


def unheard_of(environ: Mapping[str, str], known: Iterable[str]) -> list[str]:
    """Every variable of ours that is like none that exists: one of another version, perhaps."""
    wrong = {problem.variable for problem in misspelt(environ, known)}
    return [name for name in _unknown(environ, known) if name not in wrong]


def taken_for(missing: str, environ: Mapping[str, str], known: Iterable[str]) -> str | None:
    """The variable that was set in place of one that is missing, going by its name."""
    foreign = [name for name, value in environ.items() if value.strip() and name not in known]
    return next(iter(get_close_matches(missing, foreign, n=1, cutoff=_NEAR)), None)


def _unknown(environ: Mapping[str, str], known: Iterable[str]) -> list[str]:
    ours = {name for name, value in environ.items() if name.startswith(PREFIX) and value.strip()}
    return sorted(name for name in ours - set(known) - INTERNAL if not _SERVICE_LINK.search(name))
