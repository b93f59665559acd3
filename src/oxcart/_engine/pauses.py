"""Pausing one worker: it runs on and takes no further jobs of a queue.

A paused queue stands still for all workers; a paused worker leaves the jobs to others.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from oxcart._model.registry import WorkerRecord

log = logging.getLogger("oxcart.worker")

MAX_REASON = 500
"""How many characters of a reason are kept in the worker's record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPause:
    """A pause of one worker.

    Attributes:
        since_ms: when it began, ms since the epoch, by the worker's own clock.
        reason: why the worker is paused; may be empty.
    """

    since_ms: int
    reason: str = ""


_Listener = Callable[[WorkerPause | None, BaseException | None], None]


class WorkerPauses:
    """The queues from which a worker takes no jobs for now.

    Jobs that run are not touched. Call it in the worker's event loop; reading is safe everywhere.
    """

    def __init__(self) -> None:
        self._pauses: dict[str, WorkerPause] = {}
        self._listeners: dict[str, _Listener] = {}

    def get(self, queue: str) -> WorkerPause | None:
        """Return the pause of a queue; ``None`` if the worker takes its jobs."""
        return self._pauses.get(queue)

    def pause(self, queue: str, *, reason: str = "", error: BaseException | None = None) -> None:
        """Take no further jobs of a queue in this worker.

        Args:
            queue: the queue.
            reason: shown with the worker, in ``oxcart status`` for example. A second call replaces
                it; the time at which the pause began stays.
            error: what caused the pause: it is passed to the hooks ``on_error``.
        """
        before = self._pauses.get(queue)
        since_ms = round(time.time() * 1_000) if before is None else before.since_ms
        self._pauses[queue] = WorkerPause(since_ms=since_ms, reason=reason[:MAX_REASON])
        if before is None:
            log.debug("worker.paused queue=%s: %s", queue, reason)
        self._report(queue, error)

    def resume(self, queue: str) -> None:
        """Take jobs of a queue again; nothing happens if the worker does."""
        if self._pauses.pop(queue, None) is not None:
            log.debug("worker.resumed queue=%s", queue)
            self._report(queue, None)

    def listen(self, queue: str, listener: _Listener) -> None:
        """Call a function with each change of a queue's pause, and now if it is paused."""
        self._listeners[queue] = listener
        if queue in self._pauses:
            listener(self._pauses[queue], None)

    def noted_in(self, record: WorkerRecord, queue: str) -> WorkerRecord:
        """Return a worker's record with its pause; safe in any thread."""
        pause = self._pauses.get(queue)
        if pause is None:
            return record
        return replace(record, paused_since_ms=pause.since_ms, pause_reason=pause.reason)

    def _report(self, queue: str, error: BaseException | None) -> None:
        listener = self._listeners.get(queue)
        if listener is not None:
            listener(self._pauses.get(queue), error)
