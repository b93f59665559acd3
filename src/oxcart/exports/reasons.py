"""Why an export failed, as its user may know it.

A job's failed reason is written for operators: it names folders, hosts, ports and SQL. A user sees
it only where it is about the request itself; anything else becomes one plain sentence. The texts
that are shown are listed here rather than those that are not: new errors are hidden.
"""

from __future__ import annotations

import re

FAILED = "the export could not be written, because of a problem on the server"
"""In the place of every reason that is not the user's affair."""
PUT_BACK = "no worker has run the export yet that knows how to"
CANCELLED = "the export was cancelled"

_NAME = r"['\"][^\n]{1,500}['\"](\.\.\. \(\d+ characters\))?"
_SHOWN = re.compile(
    "|".join(
        (
            rf"there is no export {_NAME}; the exports are [A-Z_, ]{{1,500}}",
            rf"[A-Z_]{{1,64}} has no filter {_NAME}; it has [\w, ]{{1,500}}",
            r"'[A-Za-z]{1,64}' must be (one of [A-Z_, ]{1,500}|[a-z ]{1,40})(, not null)?",
            r"'[A-Za-z]{1,64}' must be between -?\d+ and -?\d+",
            r"'[A-Za-z]{1,64}' is longer than \d+ characters",
            r"'[A-Za-z]{1,64}' holds a character that no text can have",
            r"only the roles ADMIN and STAFF may export [A-Z_]{1,64}"
            r"( with [A-Za-z]{1,64} [^\n]{1,200})?",
        )
    )
)


def reason_for_user(reason: str) -> str:
    """Return a job's failed reason as its user may see it."""
    if _SHOWN.fullmatch(reason):
        return reason
    return CANCELLED if reason == "cancelled" else FAILED
