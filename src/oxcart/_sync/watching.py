# Generated from src/oxcart/_queue/watching.py by scripts/generate-sync: change that one.
"""Watching a queue: its figures, metrics, workers and settings, and events of one's own."""

from __future__ import annotations

import re

from oxcart._model.duration import Duration, to_ms
from oxcart._model.json import JsonValue
from oxcart._model.registry import RegisteredWorker
from oxcart._model.states import JobState, finished_state
from oxcart._model.watching import Metrics, QueueAnomalies, QueueFigures, QueueMeta, WorkerInfo
from oxcart._settings.values import mask_url
from oxcart._store.calls import reading, registry, watching
from oxcart._sync.base import QueueBase
from oxcart._wire.codec import encode_json
from oxcart._wire.events import EVENT_FIELD, EventName, QueueEvent, read_event
from oxcart.errors import ConfigError

_EVENT_ID = re.compile(r"[0-9]{1,20}(-[0-9]{1,20})?")


class QueueWatching(QueueBase):
    """What can be seen of a queue besides its jobs."""

    @property
    def server_url(self) -> str | None:
        """The server's URL without its password; ``None`` until the first call needs it."""
        url = self._store.location.known
        return None if url is None else mask_url(url)

    def get_figures(self) -> QueueFigures:
        """Read what is worth watching over time, in one round trip.

        It costs as much with a million jobs as with ten.
        """
        replies = self._store.run_all(watching.get_figures(self._keys))
        return watching.figures_of(replies, self._clock.now_ms())

    def find_anomalies(self, *, failed_within: Duration = "15m") -> QueueAnomalies:
        """Look for what may be wrong: jobs without a lock, recent failures, names that wait.

        It looks at a limited number of jobs and costs as much with a million jobs as with ten.

        Args:
            failed_within: how long ago jobs may have failed to be counted.
        """
        lately_ms = to_ms(failed_within, what="failed_within")
        return self._store.run(watching.find_anomalies(self._keys, self._clock, lately_ms))

    def get_metrics(self, state: JobState, *, start: int = 0, end: int = -1) -> Metrics:
        """How many jobs completed or failed, in all and a minute.

        Args:
            state: ``COMPLETED`` or ``FAILED``.
            start: first point, from 0, the newest.
            end: last point, inclusive; -1 for the oldest there is.
        """
        state = finished_state(state)
        replies = self._store.run_all(watching.get_metrics(self._keys, state, start, end))
        return watching.metrics_of(replies)

    def get_workers(self) -> list[WorkerInfo]:
        """The queue's connected workers, those of BullMQ for Node and for Python included."""
        nodes = self._store.run_everywhere(watching.list_clients())
        found = [watching.workers_of(self._keys, clients) for clients in nodes]
        return max(found, key=len)  # in a cluster, a worker waits at the node of its queue

    def get_registered_workers(self) -> list[RegisteredWorker]:
        """The workers that registered themselves with the queue, the latest heartbeat first.

        They tell their host, their build and the job names that they have a handler for. One that
        was killed stays for some seconds, until its jobs were recovered; see ``is_alive``.
        BullMQ's workers do not register.
        """
        return self._store.run(registry.read_workers(self._keys, clock=self._clock))

    def get_meta(self) -> QueueMeta:
        """The queue's own settings."""
        return self._store.run(watching.get_meta(self._keys))

    def publish_event(self, name: str, /, **fields: JsonValue) -> str:
        """Add a custom event to the queue's stream, for every reader of the stream.

        Args:
            name: the event's name, which the engine does not use itself.
            **fields: texts as they are, anything else as JSON. A field may have any name, such as
                ``name``, except ``event``, which holds the event's name in the stream.

        Returns:
            The entry's id.

        Raises:
            ConfigError: the name is empty or one of the engine's events, or a field is called
                ``event``; nothing was added.
        """
        if not name or name in set(EventName):
            raise ConfigError(f"event name {name!r} is empty or one of the engine's own events")
        if EVENT_FIELD in fields:
            raise ConfigError(
                f"a field of event {name!r} is called {EVENT_FIELD!r}, which holds the event's "
                "name in the stream; give the field another name"
            )
        texts = {key: _text(key, value) for key, value in fields.items()}
        return self._store.run(watching.publish_event(self._keys, name, texts))

    def get_events(self, *, after: str = "0", count: int = 500) -> list[QueueEvent]:
        """Read events that the queue's stream keeps, oldest first, without waiting for new ones.

        ``QueueEvents`` waits for them.

        Args:
            after: the id of the event to go on after; ``"0"``: from the oldest one kept.
            count: how many at most, from 1.

        Raises:
            ConfigError: ``after`` is not an event's id, or ``count`` is below 1.
        """
        if not _EVENT_ID.fullmatch(after):
            raise ConfigError(f"after is {after!r}; it must be an event's id, such as '0' or '5-1'")
        if count < 1:
            raise ConfigError(f"count is {count}; it must be 1 or more")
        found = self._store.run(reading.events_after(self._keys, after, count))
        return [read_event(entry_id, fields) for entry_id, fields in found]

    def trim_events(self, max_length: int) -> int:
        """Remove the oldest events from the queue's stream, in bounded steps.

        Args:
            max_length: how many of the newest events are kept; 0 removes all.

        Returns:
            How many were removed.

        Raises:
            ConfigError: the length is negative.
        """
        if max_length < 0:
            raise ConfigError(f"max_length is {max_length}; it must be 0 or more")
        total, removed = 0, 1
        while removed:
            removed = self._store.run(watching.trim_events(self._keys, max_length))
            total += removed
        # The steps above remove whole nodes of the stream alone.
        rest = watching.trim_events(self._keys, max_length, is_exact=True)
        return total + self._store.run(rest)


def _text(name: str, value: JsonValue) -> str:
    if isinstance(value, str):
        return value
    return encode_json(value, what=f"field {name!r} of the event").decode()
