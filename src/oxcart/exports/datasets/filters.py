"""Filters: each is declared with its type, and nothing else gets into a query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Enum, Text, cast

from oxcart.database.texts import is_storable
from oxcart.exports.errors import BadFilter

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from oxcart import JsonValue

MAX_TEXT_LENGTH = 500
_MAX_INTEGER = 2**31 - 1
_KIND_NAMES: dict[type, str] = {str: "a text", bool: "true or false", int: "a whole number"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Keeps the rows whose column has the given value."""

    name: str
    """As callers write it."""
    column: ColumnElement[Any]
    kind: type[str | bool | int] = str
    choices: tuple[str, ...] = ()
    """The only texts that the column can have; empty for any text."""
    is_nullable: bool = False
    """Whether null may be asked for: the rows that have no value."""
    staff_values: tuple[JsonValue, ...] = ()
    """Values that only staff may ask for."""

    def check(self, value: JsonValue) -> None:
        """Refuse a value that the column cannot have.

        Raises:
            BadFilter: naming the filter and what it wants.
        """
        if value is None:
            if not self.is_nullable:
                raise BadFilter(self.name, f"must be {self._wanted()}, not null")
            return
        # The exact type: True is an int for isinstance.
        if type(value) is not self.kind:
            raise BadFilter(self.name, f"must be {self._wanted()}")
        if isinstance(value, str):
            self._check_text(value)
        elif abs(value) > _MAX_INTEGER:
            raise BadFilter(self.name, f"must be between -{_MAX_INTEGER} and {_MAX_INTEGER}")

    def condition(self, value: JsonValue) -> ColumnElement[bool]:
        """Return the condition on a checked value."""
        # As text: the application's enum may have more values than ours.
        is_enum = isinstance(self.column.type, Enum)
        column: ColumnElement[Any] = cast(self.column, Text) if is_enum else self.column
        return column.is_(None) if value is None else column.__eq__(value)

    def _check_text(self, value: str) -> None:
        if self.choices and value not in self.choices:
            raise BadFilter(self.name, f"must be {self._wanted()}")
        if len(value) > MAX_TEXT_LENGTH:
            raise BadFilter(self.name, f"is longer than {MAX_TEXT_LENGTH} characters")
        if not is_storable(value):
            raise BadFilter(self.name, "holds a character that no text can have")

    def _wanted(self) -> str:
        return f"one of {', '.join(self.choices)}" if self.choices else _KIND_NAMES[self.kind]
