"""Guard against formula injection: text that a spreadsheet would run as a formula stays text.

Excel, LibreOffice and Google Sheets take a cell for a formula by how it begins, quoted or not,
after stripping blanks; East Asian versions also take the full-width forms of the signs. An
apostrophe before the sign makes the cell text.

A program that reads the file with another separator than the comma, as Excel does in most of
Europe, begins new cells inside of ours: after ``;``, a tab, ``|`` and line ends. A sign there gets
an apostrophe too.

The guard changes the data, so it is applied to text that people may have typed and never to
numbers, an archive's manifest says that it was, and ``unguarded`` undoes it exactly.
"""

from __future__ import annotations

import re

_SIGNS = r"=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"
_BLANKS = r"\s\u200b-\u200f\u2060\ufeff"
# TAB, CR, LF and NUL are dropped by some programs, and what follows them then begins the cell.
# Apostrophes count, so that a text that has one already gets another: the guard can be undone.
_START = re.compile(rf"'*[{_BLANKS}]*[{_SIGNS}\t\r\n\x00]")
# Every match begins where no match can have begun before, and never gives characters back: the
# time is linear in the text, whatever it holds.
_INSIDE = re.compile(rf"(?<![{_BLANKS};|\"'\x00])[{_BLANKS};|\"'\x00]++(?=[{_SIGNS}])")
_SEPARATOR = re.compile(r"\r\n|[;\t|\r\n]")
_GUARDED_SEPARATOR = re.compile(r"(\r\n|[;\t|\r\n])'")
_PREFIX = "'"


def guarded(text: str) -> str:
    """Return the text with an apostrophe wherever a spreadsheet would begin a formula."""
    if _START.match(text):
        text = _PREFIX + text
    # Most texts have no separator, and this finds out faster than the pattern.
    if text.isprintable() and ";" not in text and "|" not in text:
        return text
    return _INSIDE.sub(_with_prefixes, text)


def unguarded(text: str) -> str:
    """Return the text that ``guarded`` was given."""
    text = _INSIDE.sub(_without_prefixes, text)
    is_guarded = text.startswith(_PREFIX) and _START.match(text, 1)
    return text.removeprefix(_PREFIX) if is_guarded else text


def _with_prefixes(run: re.Match[str]) -> str:
    return _SEPARATOR.sub(rf"\g<0>{_PREFIX}", run[0])


def _without_prefixes(run: re.Match[str]) -> str:
    return _GUARDED_SEPARATOR.sub(r"\1", run[0])
