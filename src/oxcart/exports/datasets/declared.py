"""The form of an export's declaration, and the queries that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, Boolean, Enum, Float, Integer, Numeric, Text, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from oxcart.database.types import UtcTimestamp
from oxcart.database.users import STAFF_ROLES
from oxcart.exports.errors import ExportForbidden, UnknownFilter
from oxcart.exports.tabular import Heading, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, FromClause, Select

    from oxcart import JsonValue
    from oxcart.database.types import ExportType
    from oxcart.database.users import User
    from oxcart.exports.datasets.filters import Filter
    from oxcart.exports.writers.protocol import Writer


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a file and where its values come from."""

    name: str
    source: ColumnElement[Any]

    @property
    def heading(self) -> Heading:
        """The column as writers know it; its kind follows from its type in the database."""
        return Heading(self.name, _kind_of(self.source))

    @property
    def selected(self) -> ColumnElement[Any]:
        """The expression to select."""
        is_enum = isinstance(self.source.type, Enum)
        # As text: reading a value that our enum does not know would be an error.
        return (cast(self.source, Text) if is_enum else self.source).label(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One table of an export."""

    name: str
    source: FromClause
    """A table with what is joined to it; the joins may neither add nor drop rows."""
    key: ColumnElement[Any]
    """A unique, indexed column: the order of the rows."""
    columns: tuple[Column, ...]
    """All that is exported. Nothing else leaves the database."""
    owner: ColumnElement[Any] | None = None
    """When set, only the rows whose owner is the asking user."""
    batch_rows: int = 1_000
    """How many rows are in memory at a time; fewer where the texts are long."""

    @property
    def headings(self) -> tuple[Heading, ...]:
        """The columns as writers know them."""
        return tuple(column.heading for column in self.columns)

    def rows(self, user_id: str, conditions: list[ColumnElement[bool]]) -> Select[Any]:
        """Return the query of the rows, to be streamed."""
        columns = [column.selected for column in self.columns]
        query = self._where(select(*columns), user_id, conditions).order_by(self.key)
        return query.execution_options(yield_per=self.batch_rows)

    def count(self, user_id: str, conditions: list[ColumnElement[bool]]) -> Select[int]:
        """Return the query of the number of rows."""
        return self._where(select(func.count()), user_id, conditions)

    def _where(
        self, query: Select[Any], user_id: str, conditions: list[ColumnElement[bool]]
    ) -> Select[Any]:
        query = query.select_from(self.source).where(*conditions)
        return query if self.owner is None else query.where(self.owner == user_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One export: what it holds, who may ask for it and how it is written."""

    type: ExportType
    parts: tuple[Part, ...]
    writer: Writer
    filters: tuple[Filter, ...] = ()
    """What callers may filter the (only) part by."""
    is_staff_only: bool = False
    """Whether only the roles ADMIN and STAFF may ask for it."""
    public_rows: ColumnElement[bool] | None = None
    """The rows that those who are not staff get; None for all."""

    def check(self, user: User, filters: Mapping[str, JsonValue]) -> None:
        """Refuse what the user may not have, and filters that are unknown or wrong.

        Raises:
            ExportForbidden: the user's role is not enough.
            UnknownFilter: naming it and those that there are.
            BadFilter: a value of a wrong type.
        """
        if self.is_staff_only and not user.is_staff:
            raise ExportForbidden(f"only the roles ADMIN and STAFF may export {self.type}")
        known = {filter_.name: filter_ for filter_ in self.filters}
        ignored = self.ignored(filters)
        for name, value in filters.items():
            if name in ignored:
                continue
            if name not in known:
                raise UnknownFilter(name, type_=self.type, known=known)
            known[name].check(value)
            if value in known[name].staff_values and not user.is_staff:
                raise ExportForbidden(
                    f"only the roles ADMIN and STAFF may export {self.type} with {name} {value!r}"
                )

    def ignored(self, filters: Mapping[str, JsonValue]) -> tuple[str, ...]:
        """Return the filters that are ignored: all of an export that has none.

        It holds the asking user's own data, so ignoring a filter shows nothing to anybody else.
        Where an export has filters, ignoring one would export more than was asked for.
        """
        return () if self.filters else tuple(filters)

    def check_owner(self, owner: User, role_at_export: str | None) -> None:
        """Refuse a finished file to an owner whose rights no longer cover what it holds.

        Args:
            owner: the owner as of now.
            role_at_export: the owner's role when the file was written; None if not known.

        Raises:
            ExportForbidden: the file holds what only staff may see, and the owner is not staff.
        """
        holds_staff_rows = self.is_staff_only or (
            self.public_rows is not None and role_at_export in STAFF_ROLES
        )
        if holds_staff_rows and not owner.is_staff:
            raise ExportForbidden(
                f"this {self.type} export holds what only the roles ADMIN and STAFF may see"
            )

    def conditions(self, user: User, filters: Mapping[str, JsonValue]) -> list[ColumnElement[bool]]:
        """Return what rows must fulfil, for filters that were checked."""
        known = {filter_.name: filter_ for filter_ in self.filters}
        ignored = self.ignored(filters)
        asked = {name: value for name, value in filters.items() if name not in ignored}
        conditions = [known[name].condition(value) for name, value in asked.items()]
        if self.public_rows is not None and not user.is_staff:
            conditions.append(self.public_rows)
        return conditions


def _kind_of(source: ColumnElement[Any]) -> Kind:
    type_ = source.type
    if isinstance(type_, UtcTimestamp):
        return Kind.TIME
    if isinstance(type_, Boolean):
        return Kind.BOOLEAN
    if isinstance(type_, JSON | ARRAY):
        return Kind.JSON
    return Kind.NUMBER if isinstance(type_, Numeric | Integer | Float) else Kind.TEXT
