"""What a format must do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oxcart.exports.tabular import Origin, TableRows


class Sink(Protocol):
    """Where bytes go, in order; there is no way back."""

    def write(self, data: bytes, /) -> int:
        """Take all the bytes."""
        ...


class Writer(Protocol):
    """A file format. It must not hold more than a batch of rows in memory."""

    @property
    def extension(self) -> str:
        """The end of the file's name, with its dot."""
        ...

    @property
    def media_type(self) -> str:
        """The file's type for HTTP."""
        ...

    def write(self, sink: Sink, tables: Iterable[TableRows], origin: Origin) -> None:
        """Write the whole file.

        Args:
            sink: where to.
            tables: the export's tables; each must be gone through before the next is taken.
            origin: what the file says about itself, if it can.
        """
        ...
