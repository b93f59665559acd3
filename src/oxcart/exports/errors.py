"""Every error of the exports, grouped by who must act.

::

    ExportError
    ├── UnknownExportType     the caller: there is no such export
    ├── UnknownFilter         the caller: the export has no such filter
    ├── BadFilter             the caller: a filter, status, cursor or limit has a wrong value
    ├── ExportForbidden       the caller: the user may not have this
    ├── ExportNotFound        the caller: no such export, or it is another user's, or its file went
    ├── ExportNotReady        the caller: the file is not there yet, or never will be
    ├── ExportExpired         the caller: the file was there and was removed, as announced
    ├── IdempotencyKeyReused  the caller: the key came with another request before
    ├── ExportQuotaExceeded   the caller: the user has asked for enough; later
    ├── LinkInvalid           the caller: the link was tampered with or is of another export
    │   └── LinkExpired       the caller: the link was good once
    ├── ExportIncomplete      us: fewer or more rows were written than counted
    └── StorageFull           the operator: no room left for the file
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxcart.errors import OxcartError

if TYPE_CHECKING:
    from collections.abc import Iterable


MAX_SHOWN_CHARS = 100


class ExportError(OxcartError):
    """The root of every error of the exports."""


class UnknownExportType(ExportError):
    """There is no such export.

    Attributes:
        type: what was asked for.
    """

    def __init__(self, type_: str, known: Iterable[str]) -> None:
        super().__init__(f"there is no export {_shown(type_)}; the exports are {_listed(known)}")
        self.type = type_


class UnknownFilter(ExportError):
    """The export has no such filter.

    Attributes:
        name: the filter that was given.
        known: the filters that the export has.
    """

    def __init__(self, name: str, *, type_: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        has = f"has {_listed(self.known)}" if self.known else "has no filters"
        super().__init__(f"{type_} has no filter {_shown(name)}; it {has}")


class BadFilter(ExportError):
    """A filter (or a list's status, cursor or limit) has a value that it cannot have.

    Attributes:
        name: the filter.
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{_shown(name)} {problem}")
        self.name = name


class ExportForbidden(ExportError):
    """The user may not have what the export would hold."""


class ExportNotFound(ExportError):
    """No such export for this user.

    Attributes:
        export_id: what was asked for.
    """

    def __init__(self, export_id: str, problem: str = "there is no such export") -> None:
        super().__init__(f"export {export_id!r}: {problem}")
        self.export_id = export_id


class ExportNotReady(ExportError):
    """The export has no file.

    Attributes:
        export_id: the export.
        status: where it stands: ``PENDING``, ``PROCESSING`` or ``FAILED``.
    """

    def __init__(self, export_id: str, status: str) -> None:
        super().__init__(f"export {export_id!r} has no file: it is {status}")
        self.export_id = export_id
        self.status = status


class ExportExpired(ExportError):
    """The export's file was kept for as long as files are kept, and was then removed.

    Attributes:
        export_id: the export.
    """

    def __init__(self, export_id: str) -> None:
        super().__init__(f"export {export_id!r} has expired; ask for the export again")
        self.export_id = export_id


class IdempotencyKeyReused(ExportError):
    """The idempotency key came with another request before; nothing was made.

    Attributes:
        key: the key.
    """

    def __init__(self, key: str) -> None:
        super().__init__(
            "Idempotency-Key was used for another export before; "
            "use a new key for a new request, and the same body for the same key"
        )
        self.key = key


class ExportQuotaExceeded(ExportError):
    """The user has asked for as many exports as allowed; nothing was made.

    Attributes:
        retry_after_seconds: after how many seconds the user may ask again.
    """

    def __init__(self, problem: str, *, retry_after_seconds: int) -> None:
        super().__init__(f"{problem}; try again in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class LinkInvalid(ExportError):
    """The link's signature does not fit the export and the time in it."""

    def __init__(self, problem: str = "the link is not valid; ask for a new one") -> None:
        super().__init__(problem)


class LinkExpired(LinkInvalid):
    """The link was good, until some time ago."""

    def __init__(self) -> None:
        super().__init__("the link has expired; ask for a new one")


class ExportIncomplete(ExportError):
    """Another number of rows was written than was counted; the file was not published."""

    def __init__(self, table: str, *, expected: int, actual: int) -> None:
        super().__init__(f"{table}: {actual} rows were written where {expected} were counted")
        self.table = table
        self.expected = expected
        self.actual = actual


class StorageFull(ExportError):
    """There is no room left for the file; nothing half-written is left."""


def _shown(name: str) -> str:
    """A name that a caller chose, so that its answer is not as long as the request."""
    if len(name) <= MAX_SHOWN_CHARS:
        return repr(name)
    return f"{name[:MAX_SHOWN_CHARS]!r}... ({len(name)} characters)"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
