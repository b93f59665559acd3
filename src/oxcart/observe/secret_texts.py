"""Hiding secrets in free text by what stands before them: a name, a header, or a URL's scheme.

Every pattern takes time that is proportional to the length of the text: each begins with a literal,
and what it repeats cannot run past the place where its next match may begin.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection

from oxcart.observe.secret_names import ALWAYS_SECRET, ONLY_IN_LOGS, REDACTED, words_of

MAX_TEXT_CHARS = 64_000
"""A longer text is cut before it is searched."""

_IN_URL = re.compile(r"://[^\s/?#]*@")
_CUT_IN_URL = re.compile(r"://[^\s/?#]*\Z")
_BEARER = re.compile(r"\bBearer\s+[A-Za-z0-9._~+/=-]+")
_HEADER = re.compile(
    r"\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key)(\s*:\s*)[^\r\n]+", re.IGNORECASE
)
_WORD = r"[^\s\"'&;,)}\]]"
_QUOTED = r"\"(?:[^\"\\]|\\.)*(?:\"|\\?\Z)|'(?:[^'\\]|\\.)*(?:'|\\?\Z)"
_BY_HEADER = frozenset({"authorization", "cookie"})
"""Their colon is the header's, which hides the rest of the line."""
_AMBIGUOUS = frozenset({"token", "secret", "signature", "credential", "credentials"})
"""Words that prose puts before a colon too, as in ``invalid token: it has expired``."""
_LOOKS_RANDOM = rf"(?=[\"']|{_WORD}{{0,64}}?[0-9]|{_WORD}{{16}})"


class SecretTexts:
    """Hides the secrets in texts.

    Args:
        names: secret names beside the usual ones.
        in_logs: whether the names that are secret in logs alone count.
    """

    def __init__(self, names: Collection[str] = (), *, in_logs: bool = True) -> None:
        usual = ALWAYS_SECRET | ONLY_IN_LOGS if in_logs else ALWAYS_SECRET
        every = _either([*usual, *names], r"(?<!\w)session|(?<![^\W_])pass")
        clear = _either([*(usual - _AMBIGUOUS - _BY_HEADER), *names], r"(?<![^\W_])pass")
        ambiguous = _either(usual & _AMBIGUOUS)
        self._named = re.compile(
            rf"({every}[\"']?\s*(?:=|(?<=[\"'])\s*:)\s*"
            rf"|{clear}[ \t]*:[ \t]*"
            rf"|{ambiguous}[ \t]*:[ \t]*{_LOOKS_RANDOM})"
            rf"(?!\[redacted)(?:{_QUOTED}|{_WORD}+)",
            re.IGNORECASE,
        )

    def hide(self, text: str) -> str:
        """A copy of a text, at most ``MAX_TEXT_CHARS`` of it, without the secrets."""
        if len(text) <= MAX_TEXT_CHARS:
            return self._hide(text)
        kept = _CUT_IN_URL.sub(f"://{REDACTED}", text[:MAX_TEXT_CHARS])
        return f"{self._hide(kept)}... ({len(text) - MAX_TEXT_CHARS} more characters)"

    def _hide(self, text: str) -> str:
        if "://" in text:
            text = _IN_URL.sub(f"://{REDACTED}@", text)
        if ":" in text:
            text = _HEADER.sub(rf"\1\2{REDACTED}", text)
        if "=" in text or ":" in text:
            text = self._named.sub(rf"\1{REDACTED}", text)
        return _BEARER.sub(f"Bearer {REDACTED}", text) if "Bearer" in text else text


@functools.lru_cache(maxsize=256)
def shown_texts_with(names: frozenset[str]) -> SecretTexts:
    """What hides secrets in the texts of a job's status; made once for each set of names."""
    return SecretTexts(names, in_logs=False)


def _either(names: Collection[str], *patterns: str) -> str:
    """A pattern for any of the names, in any spelling, and for some patterns."""
    spelled = {"[_-]?".join(map(re.escape, words_of(name))) for name in names if words_of(name)[0]}
    return f"(?:{'|'.join([*sorted(spelled, key=len, reverse=True), *patterns])})"
