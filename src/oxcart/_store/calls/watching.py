"""Watching a queue: metrics, workers, settings, and events of one's own.

Source: wire format, sections 2.3, 6, 10 and 13.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from oxcart._model.clock import Clock
from oxcart._model.states import JobState
from oxcart._model.watching import Metrics, QueueAnomalies, QueueFigures, QueueMeta, WorkerInfo
from oxcart._store.call import Call, command, script_call
from oxcart._store.calls import reading, switching
from oxcart._store.calls.unknown import count_unknown
from oxcart._wire.keys import QueueKeys
from oxcart._wire.options_codec import read_delay_ms

WORKER_LIST = ("CLIENT", "LIST")
COUNTED = (
    JobState.WAITING, JobState.ACTIVE, JobState.DELAYED, JobState.PRIORITIZED,
    JobState.WAITING_CHILDREN, JobState.COMPLETED, JobState.FAILED,
)  # fmt: skip
"""The states of which a queue keeps its jobs apart."""
_FINISHED = (JobState.COMPLETED, JobState.FAILED)
TRIM_BATCH = 10_000
"""How many events one call trims at the most."""
_SAMPLE = 500
"""How many jobs of each kind are looked at for what may be wrong."""
_PRIORITIES = 32
"""How many priorities are looked through for the oldest job."""


def get_metrics(keys: QueueKeys, state: JobState, start: int, end: int) -> tuple[Call[Any], ...]:
    """How many jobs came to an end a minute; the replies are read by ``metrics_of``."""
    data_key = keys.metrics_data(state)
    return (
        command(("HMGET", keys.metrics(state), "count", "prevTS", "prevCount"), list),
        command(("LRANGE", data_key, start, end), list),
        command(("LLEN", data_key), int),
    )


def metrics_of(replies: Any) -> Metrics:
    """Put the replies of ``get_metrics`` together."""
    (count, previous_at_ms, previous_count), points, point_count = replies
    return Metrics(
        count=int(count or 0),
        previous_at_ms=int(previous_at_ms or 0),
        previous_count=int(previous_count or 0),
        points=tuple(int(point) for point in points),
        point_count=point_count,
    )


def get_figures(keys: QueueKeys) -> tuple[Call[Any], ...]:
    """What is worth watching of a queue; the replies are read by ``figures_of``."""
    return (
        *count_states(keys),
        switching.is_paused(keys),
        *(command(("HGET", keys.metrics(state), "count"), _count) for state in _FINISHED),
        count_unknown(keys),
        _oldest_ready_ms(keys),
        reading.server_time_ms(),
    )


def figures_of(replies: Sequence[Any], now_ms: int | None) -> QueueFigures:
    """Put the replies of ``get_figures`` together.

    Args:
        replies: see there.
        now_ms: the time, instead of the server's.
    """
    *counts, is_paused, completed, failed, unknown, ready_ms, server_ms = replies
    finished = zip(_FINISHED, (completed, failed), strict=True)
    age_ms = None if ready_ms is None else max(0, (now_ms or server_ms) - ready_ms)
    return QueueFigures(
        counts=counts_of(counts),
        is_paused=is_paused,
        oldest_waiting_ms=age_ms,
        finished_counts={state: count for state, count in finished if count is not None},
        unknown_count=unknown,
    )


def find_anomalies(keys: QueueKeys, clock: Clock, lately_ms: int) -> Call[QueueAnomalies]:
    """Look at some of a queue's jobs for what may be wrong; it costs the same with any backlog.

    Args:
        keys: the queue.
        clock: the time instead of the server's.
        lately_ms: how long ago jobs may have failed to be counted.
    """
    return script_call(
        "inspect_queue",
        (
            keys.wait, keys.paused, keys.prioritized, keys.delayed, keys.active, keys.failed,
            keys.base,
        ),
        (clock.now_ms(), _SAMPLE, lately_ms),
        _read_anomalies,
        is_repeatable=True,
    )  # fmt: skip


def count_states(keys: QueueKeys) -> tuple[Call[int], ...]:
    """Count the jobs of each state; the replies are read by ``counts_of``."""
    calls = (reading.count_state(keys, state) for state in COUNTED)
    return (*calls, reading.count_set_aside(keys))


def counts_of(replies: Sequence[int]) -> dict[JobState, int]:
    """Put the replies of ``count_states`` together: jobs that were set aside are waiting ones."""
    *counts, set_aside = replies
    found = dict(zip(COUNTED, counts, strict=True))
    found[JobState.WAITING] += set_aside
    return found


def get_meta(keys: QueueKeys) -> Call[QueueMeta]:
    """The queue's own settings."""
    return command(("HGETALL", keys.meta), _read_meta)


def publish_event(keys: QueueKeys, name: str, fields: Mapping[str, str]) -> Call[str]:
    """Add a custom event to the queue's stream; answers its id."""
    words = [name, *(word for pair in fields.items() for word in pair)]
    return script_call(
        "publish_event", (keys.meta, keys.events), words, lambda reply: reply.decode()
    )


def trim_events(keys: QueueKeys, max_length: int, *, is_exact: bool = False) -> Call[int]:
    """Remove events above a length, the oldest first; answers how many.

    Unless it is exact, the server removes whole nodes of the stream, and a limited number of them.
    """
    how = ("=", max_length) if is_exact else ("~", max_length, "LIMIT", TRIM_BATCH)
    return command(("XTRIM", keys.events, "MAXLEN", *how), int)


def list_clients() -> Call[list[dict[str, str]]]:
    """All connections of the server; ``workers_of`` picks a queue's workers."""
    return command(WORKER_LIST, _read_clients)


def workers_of(keys: QueueKeys, clients: list[dict[str, str]]) -> list[WorkerInfo]:
    """The workers among a server's connections, by the connections' names.

    BullMQ for Node and oxcart write the queue's name in base64, BullMQ for Python as it is.
    """
    named = ((client, _worker_name(keys, client.get("name", ""))) for client in clients)
    return [
        WorkerInfo(
            name=name,
            address=client.get("addr", ""),
            idle_s=int(client.get("idle", 0)),
            age_s=int(client.get("age", 0)),
        )
        for client, name in named
        if name is not None
    ]


def _worker_name(keys: QueueKeys, connection: str) -> str | None:
    """The worker's name in the name of its connection; ``None`` if it is no worker's."""
    for unnamed in (keys.worker_connection_name(None), keys.base.removesuffix(":")):
        if connection == unnamed:
            return ""
        if connection.startswith(f"{unnamed}:w:"):
            return connection.removeprefix(f"{unnamed}:w:")
    return None


def _oldest_ready_ms(keys: QueueKeys) -> Call[int | None]:
    """Since when the oldest of the ready jobs has been ready, in ms since the epoch."""
    return script_call(
        "read_oldest",
        (keys.wait, keys.paused, keys.prioritized, keys.base),
        (_PRIORITIES,),
        lambda reply: min((_ready_ms(*fields) for fields in reply), default=None),
        is_repeatable=True,
    )


def _ready_ms(added: bytes, started: bytes | None, options: bytes | None) -> int:
    """Since when a job is ready: since its delay was over, or since it was last tried.

    When a retry became due is not kept, so its wait before that counts as well.
    """
    return max((_count(added) or 0) + read_delay_ms(options), _count(started) or 0)


def _read_anomalies(reply: list[Any]) -> QueueAnomalies:
    unlocked, failed, *rest = reply
    return QueueAnomalies(
        unlocked_count=unlocked,
        failed_count=failed,
        names={
            name.decode(errors="replace"): count
            for name, count in zip(rest[::2], rest[1::2], strict=True)
        },
    )


def _count(value: bytes | None) -> int | None:
    return int(value) if value is not None and value.isdigit() else None


def _read_clients(reply: Any) -> list[dict[str, str]]:
    if isinstance(reply, list):  # the client has parsed it already
        return [dict(item) for item in reply]
    lines = reply.decode(errors="replace").splitlines()
    return [dict(pair.partition("=")[::2] for pair in line.split(" ")) for line in lines if line]


def _read_meta(reply: Any) -> QueueMeta:
    fields = {_text(name): _text(value) for name, value in reply.items()}
    return QueueMeta(
        version=fields.get("version"),
        events_length=_whole(fields.get("opts.maxLenEvents")),
        is_paused="paused" in fields,
        concurrency=_whole(fields.get("concurrency")),
        rate_max=_whole(fields.get("max")),
        rate_ms=_whole(fields.get("duration")),
    )


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")


def _whole(value: str | None) -> int | None:
    return int(value) if value is not None and value.isdigit() else None
