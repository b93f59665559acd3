"""The class and the traceback of a job's last error, from the texts that are kept with the job.

Python and Node write tracebacks in different forms. A job that failed without an error, such as one
that stalled too often, still has the tracebacks of earlier attempts: those are not the reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_PYTHON = "Traceback (most recent call last):"
_GROUP = "  + Exception Group Traceback (most recent call last):"
_IN_GROUP = "  | "
_CHAINED = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
_HEADLINE = re.compile(r"(?P<type>[A-Za-z_][\w.$]*)(?: \[\w+\])?(?:: ?(?P<message>.*))?")
"""``module.Class: message`` of Python, ``Class: message`` or ``Class [CODE]: message`` of Node."""


@dataclass(frozen=True, slots=True)
class FailureText:
    """What is known of the error by which a job failed.

    Attributes:
        error_type: the name of its class; ``None`` if it is not known.
        traceback: its traceback; ``None`` if it has none.
    """

    error_type: str | None = None
    traceback: str | None = None


UNKNOWN = FailureText()


def failure_text(reason: str, traces: Sequence[str]) -> FailureText:
    """Find the error that a reason is of.

    Args:
        reason: the job's failed reason.
        traces: the tracebacks of its attempts, the last one last.
    """
    if not traces or traces[-1] == reason:  # failed with a reason alone
        return UNKNOWN
    trace = traces[-1]
    found = _HEADLINE.fullmatch(_headline(trace))
    if found is None:
        return UNKNOWN
    kind = found["type"].rpartition(".")[2]
    said = found["message"] or kind  # an error without a text has its class as the reason
    first_line = reason.partition("\n")[0]
    if not (first_line.startswith(said) or said.startswith(first_line.removesuffix("…"))):
        return UNKNOWN
    return FailureText(kind, trace)


def _headline(trace: str) -> str:
    """Return the line that names the error: after the frames in Python, the first one in Node."""
    lines = trace.splitlines() or [""]
    joints = [at for at, line in enumerate(lines) if line in _CHAINED]
    if joints:  # the error that was raised last comes last; an empty line is before it
        lines = lines[joints[-1] + 2 :] or [""]
    starts = [at for at, line in enumerate(lines) if line in (_PYTHON, _GROUP)]
    if not starts:
        return lines[0]
    margin = _IN_GROUP if lines[starts[-1]] == _GROUP else ""
    for line in lines[starts[-1] + 1 :]:
        text = line.removeprefix(margin)
        if line.startswith(margin) and text and not text[0].isspace():
            return text
    return ""
