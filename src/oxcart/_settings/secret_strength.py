"""Recognises secrets that are not secret: short, repetitive, or copied from an example."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from oxcart._settings.values import Problem

MIN_CHARS = 32
"""A secret of production has at least as many characters."""
_MIN_DIFFERENT_CHARS = 8
_EXAMPLES = re.compile(
    r"development[-_ ]?only|change[-_ ]?(me|this|it)|replace[-_ ]?(me|this|it)|"
    r"place[-_ ]?holder|example|your[-_ ](secret|key|password)|my[-_ ](secret|key|password)|"
    r"(super|top)[-_ ]?secret|secret of the site|characters|insecure|not[-_ ]?secret",
    re.IGNORECASE,
)
"""What the examples of this documentation and of others hold; random text hardly ever does."""


def weakness_of(secret: str) -> str | None:
    """Return why a secret of production can be guessed, as what follows "it"; None: it cannot.

    The secret itself is not in the text.
    """
    if len(secret) < MIN_CHARS:
        return f"has {len(secret)} characters"
    if _EXAMPLES.search(secret):
        return "was copied from an example"
    if len(set(secret)) < _MIN_DIFFERENT_CHARS:
        return f"consists of {len(set(secret))} different characters"
    if secret in (secret + secret)[1:-1]:
        return "repeats a shorter text"
    return None


def weak_secrets(variable: str, secrets: Iterable[str], text: str) -> Iterator[Problem]:
    """A problem for the first secret that can be guessed, with why it can in place of ``{}``."""
    weaknesses = (weakness_of(secret) for secret in secrets)
    weakness = next((found for found in weaknesses if found is not None), None)
    if weakness is not None:
        yield Problem(variable, text.format(weakness))
