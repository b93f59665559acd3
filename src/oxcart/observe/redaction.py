"""Hiding secrets in what is shown of a job.

A secret is named by its key, at any depth of the job's data, by the rules of ``secret_names`` and
by the names that the job's definition marks. Its value is then hidden everywhere else too: a
handler's error, result or progress may repeat a token from the payload, as it is or escaped for a
URL, for HTML or for JSON. Texts of the job's status are searched for secrets that stand beside
their name or in a URL as well.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Collection, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

from oxcart.observe.secret_names import REDACTED, names_with
from oxcart.observe.secret_texts import shown_texts_with

TOO_DEEP = "[too deep to show]"
MAX_SHOWN_DEPTH = 64

MIN_PART_CHARS = 4
"""A shorter secret is hidden only where it is the whole text, else it would hide half of all."""


MAX_COMPARISONS = 50_000_000
"""Characters of a text times secrets: a longer text is hidden as a whole."""


class Redactor:
    """Hides one job's secrets.

    Args:
        data: the job's payload, where the secrets are found.
        secret_names: the keys that the job's definition marks, beside the usual ones.
    """

    def __init__(self, data: Any, secret_names: Collection[str] = ()) -> None:
        names = frozenset(secret_names)
        self._is_secret = names_with(names).is_secret
        self._hide_named = shown_texts_with(names).hide
        self._values = frozenset(self._secret_texts(data))
        parts = {
            form for value in self._values if len(value) >= MIN_PART_CHARS for form in _forms(value)
        }
        self._part_count = len(parts)
        longest_first = sorted(parts, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if parts else None

    def shown(self, value: Any, depth: int = 1) -> Any:
        """A copy of a JSON value that may be shown."""
        if isinstance(value, str):
            return self.shown_text(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return REDACTED if str(value) in self._values else value
        if isinstance(value, dict | list) and depth > MAX_SHOWN_DEPTH:
            return TOO_DEEP
        if isinstance(value, dict):
            return {
                self.shown_text(name): self._shown_member(name, inner, depth)
                for name, inner in value.items()
            }
        if isinstance(value, list):
            return [self.shown(inner, depth + 1) for inner in value]
        return value

    def shown_text(self, text: str) -> str:
        """A text of the job's status without its secrets."""
        return self._hide_named(self._without_values(text))

    def shown_texts(self, value: Any) -> Any:
        """A copy of a value in whose texts the payload's secrets are hidden, under any key."""
        if isinstance(value, str):
            return self._without_values(value)
        if isinstance(value, dict):
            return {key: self.shown_texts(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.shown_texts(inner) for inner in value]
        return value

    def _shown_member(self, name: str, value: Any, depth: int) -> Any:
        if value is not None and self._is_secret(name):
            return REDACTED
        return self.shown(value, depth + 1)

    def _without_values(self, text: str) -> str:
        if text in self._values:
            return REDACTED
        if self._pattern is None:
            return text
        if len(text) * self._part_count > MAX_COMPARISONS:
            return REDACTED  # searching it for all of them would hold up the process
        return self._pattern.sub(REDACTED, text)

    def _secret_texts(self, data: Any) -> Iterator[str]:
        # Without recursion: another program's payload may be nested as deeply as it likes.
        pending = [(data, False)]
        while pending:
            value, is_secret = pending.pop()
            if isinstance(value, dict):
                pending.extend(
                    (inner, is_secret or self._is_secret(name)) for name, inner in value.items()
                )
            elif isinstance(value, list):
                pending.extend((inner, is_secret) for inner in value)
            elif is_secret and value not in (None, "") and not isinstance(value, bool):
                yield str(value)


def _forms(value: str) -> set[str]:
    """The ways in which a text appears inside other texts."""
    return {
        value,
        quote(value, safe="", errors="replace"),
        quote_plus(value, errors="replace"),
        html.escape(value),
        json.dumps(value)[1:-1],
        repr(value)[1:-1],
    }
