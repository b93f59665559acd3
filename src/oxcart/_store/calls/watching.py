"""Watching a queue: metrics, workers, settings, and events of one's own.

Source: wire format, sections 2.3, 6, 10 and 13.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oxcart._model.states import JobState
from oxcart._model.watching import Metrics, QueueMeta, WorkerInfo
from oxcart._store.call import Call, command, script_call
from oxcart._wire.keys import QueueKeys

WORKER_LIST = ("CLIENT", "LIST")


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


def get_meta(keys: QueueKeys) -> Call[QueueMeta]:
    """The queue's own settings."""
    return command(("HGETALL", keys.meta), _read_meta)


def publish_event(keys: QueueKeys, name: str, fields: Mapping[str, str]) -> Call[str]:
    """Add a custom event to the queue's stream; answers its id."""
    words = [name, *(word for pair in fields.items() for word in pair)]
    return script_call(
        "publish_event", (keys.meta, keys.events), words, lambda reply: reply.decode()
    )


def list_clients() -> Call[list[dict[str, str]]]:
    """All connections of the server; ``workers_of`` picks a queue's workers."""
    return command(WORKER_LIST, _read_clients)


def workers_of(keys: QueueKeys, clients: list[dict[str, str]]) -> list[WorkerInfo]:
    """The workers among a server's connections, by the connections' names."""
    unnamed = keys.worker_connection_name(None)
    named = f"{unnamed}:w:"
    return [
        WorkerInfo(
            name=client["name"].removeprefix(unnamed).removeprefix(":w:"),
            address=client.get("addr", ""),
            idle_s=int(client.get("idle", 0)),
            age_s=int(client.get("age", 0)),
        )
        for client in clients
        if client.get("name") == unnamed or client.get("name", "").startswith(named)
    ]


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
