"""Text of an error's traceback: without local variables, and without oxcart's own frames."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

from oxcart.errors import OxcartError, Steering

MAX_FRAMES = 20
"""How many frames of each error are shown, the innermost ones."""

_PACKAGE = Path(__file__).parent.parent
_OWN = tuple(
    str(_PACKAGE / part)
    for part in (
        "_engine", "_model", "_queue", "_store", "_sync", "_wire", "observe",
        "app.py", "app_worker.py", "burst.py", "definition.py", "worker.py",
    )
)  # fmt: skip
"""Where the code is that calls handlers, and what they call of oxcart."""


def traceback_text(error: BaseException) -> str:
    """Return the traceback of an error, its causes and its sub-exceptions.

    Frames of oxcart are left out. An error that has no others keeps them, unless it is of one of
    oxcart's own classes: those say what is wrong.
    """
    found = traceback.TracebackException.from_exception(error, limit=-MAX_FRAMES, compact=True)
    may_be_empty = isinstance(error, OxcartError | Steering)
    for part in _parts(found):
        if part.stack:
            kept = [frame for frame in part.stack if not frame.filename.startswith(_OWN)]
            if kept or may_be_empty or part is not found:
                part.stack[:] = kept
    return "".join(found.format()).removesuffix("\n")


def type_name(error: BaseException) -> str:
    """Return the name of an error's class."""
    return type(error).__name__


def _parts(top: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    """Yield an error, its causes and contexts, and the members of groups, each once."""
    pending, seen = [top], set[int]()
    while pending:
        part = pending.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        further = (part.__cause__, part.__context__, *(part.exceptions or ()))
        pending += [other for other in further if other is not None]
