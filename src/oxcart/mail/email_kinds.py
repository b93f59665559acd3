"""Kinds of e-mails: the variables that their templates have, with example values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

COMMON_VARIABLES = frozenset({"app_name", "app_url"})
"""Variables that the templates of every e-mail have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailKind:
    """An e-mail as far as its templates are concerned.

    Attributes:
        name: its job's name, with which the names of its templates begin.
        examples: values of its own variables; templates are tried with each of them when they are
            loaded, so they show every case, such as a name and none.
    """

    name: str
    examples: tuple[Mapping[str, object], ...]

    @property
    def variables(self) -> frozenset[str]:
        """The names of its own variables."""
        return frozenset(self.examples[0])


_URL = "https://example.org"

KINDS = (
    EmailKind(name="welcome", examples=({"name": "Ada"}, {"name": ""})),
    EmailKind(
        name="verification",
        examples=(
            {"name": "Ada", "action_url": f"{_URL}/auth/verify?token=abc"},
            {"name": "", "action_url": f"{_URL}/auth/verify?token=abc"},
        ),
    ),
    EmailKind(
        name="password_reset",
        examples=(
            {"name": "", "reset_code": "483920", "action_url": f"{_URL}/auth/reset-password"},
        ),
    ),
    EmailKind(
        name="notification",
        examples=(
            {
                "name": "Ada",
                "title": "A reply",
                "message": "Bob answered.\nHe asks for more.\n\nSee you",
                "paragraphs": [["Bob answered.", "He asks for more."], ["See you"]],
                "action_url": f"{_URL}/wiki/physics",
            },
            {
                "name": "",
                "title": "A reply",
                "message": "Bob answered.",
                "paragraphs": [["Bob answered."]],
                "action_url": None,
            },
        ),
    ),
)
"""The four built-in e-mails."""
