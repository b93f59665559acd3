"""Against formula injection: cells that a spreadsheet would run as formulas become plain text.

Excel, LibreOffice and Google Sheets take a cell for a formula by how it begins, quoted or not,
after stripping blanks; East Asian versions also take the full-width forms of the signs. An
apostrophe before it makes the cell text. It changes the data, so it is applied to text that people
may have typed and never to numbers, and an archive's manifest says that it was.
"""

from __future__ import annotations

import re

# TAB, CR, LF and NUL are dropped by some programs, and what follows them then begins the cell.
_FORMULA = re.compile(
    r"[\s\u200b-\u200f\u2060\ufeff]*"
    r"[=+\-@\t\r\n\x00\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b]"
)
_PREFIX = "'"


def guarded(text: str) -> str:
    """Return the text, with an apostrophe before it if a spreadsheet would run it."""
    return _PREFIX + text if _FORMULA.match(text) else text
