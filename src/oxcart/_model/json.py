"""The type of whatever JSON can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
else:
    # msgspec cannot follow a type that refers to itself; handlers annotated with it must work.
    JsonValue = Any
