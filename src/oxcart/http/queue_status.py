"""The status of all queues of an application, read once for many who ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxcart.http.fresh import Fresh
from oxcart.operations import get_all_queue_status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oxcart import App
    from oxcart.operations import SystemStatus

FRESH_SECONDS = 1.0


def queue_names(app: App, further: Iterable[str] = ()) -> tuple[str, ...]:
    """The queues of an application: those of its declared jobs, and further ones."""
    return tuple(dict.fromkeys((*further, *(queue for queue, _ in app.registry))))


def fresh_status(app: App, further: Iterable[str] = ()) -> Fresh[SystemStatus]:
    """The status of the queues, at most ``FRESH_SECONDS`` old.

    Args:
        app: whose queues.
        further: queues for which the application declares no job.
    """
    names = queue_names(app, further)
    return Fresh(lambda: get_all_queue_status(app, queues=names), fresh_seconds=FRESH_SECONDS)
