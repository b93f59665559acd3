"""Watching a queue: its figures, metrics, workers and settings, and events of one's own."""

from __future__ import annotations

from oxcart._model.json import JsonValue
from oxcart._model.states import JobState, finished_state
from oxcart._model.watching import Metrics, QueueFigures, QueueMeta, WorkerInfo
from oxcart._queue.base import QueueBase
from oxcart._store.calls import watching
from oxcart._wire.codec import encode_json
from oxcart._wire.events import EventName
from oxcart.errors import ConfigError


class QueueWatching(QueueBase):
    """What can be seen of a queue besides its jobs."""

    async def get_figures(self) -> QueueFigures:
        """Read what is worth watching over time, in one round trip.

        It costs as much with a million jobs as with ten.
        """
        replies = await self._store.run_all(watching.get_figures(self._keys))
        return watching.figures_of(replies, self._clock.now_ms())

    async def get_metrics(self, state: JobState, *, start: int = 0, end: int = -1) -> Metrics:
        """How many jobs completed or failed, in all and a minute.

        Args:
            state: ``COMPLETED`` or ``FAILED``.
            start: first point, from 0, the newest.
            end: last point, inclusive; -1 for the oldest there is.
        """
        state = finished_state(state)
        replies = await self._store.run_all(watching.get_metrics(self._keys, state, start, end))
        return watching.metrics_of(replies)

    async def get_workers(self) -> list[WorkerInfo]:
        """The queue's connected workers, BullMQ's included."""
        nodes = await self._store.run_everywhere(watching.list_clients())
        found = [watching.workers_of(self._keys, clients) for clients in nodes]
        return max(found, key=len)  # in a cluster, a worker waits at the node of its queue

    async def get_meta(self) -> QueueMeta:
        """The queue's own settings."""
        return await self._store.run(watching.get_meta(self._keys))

    async def publish_event(self, name: str, **fields: JsonValue) -> str:
        """Add an event of one's own to the queue's stream, for whoever follows it.

        Args:
            name: the event's name, none of the engine's own.
            **fields: texts as they are, anything else as JSON.

        Returns:
            The entry's id.

        Raises:
            ConfigError: the name is empty or one of the engine's events.
        """
        if not name or name in set(EventName):
            raise ConfigError(f"event name {name!r} is empty or one of the engine's own events")
        texts = {key: _text(key, value) for key, value in fields.items()}
        return await self._store.run(watching.publish_event(self._keys, name, texts))


def _text(name: str, value: JsonValue) -> str:
    if isinstance(value, str):
        return value
    return encode_json(value, what=f"field {name!r} of the event").decode()
