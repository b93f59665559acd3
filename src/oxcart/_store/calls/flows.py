"""Flows: adding trees of jobs, and how a parent's children stand.

Source: wire format, sections 8 and 12.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from oxcart._model.clock import Clock
from oxcart._model.flow import Dependencies, DependencyCounts
from oxcart._model.json import JsonValue
from oxcart._store.call import Call, Word, command, script_call
from oxcart._store.calls.adding import NONCE_MS, Added, EncodedJob, read_added
from oxcart._wire.codec import decode_json_or_text, mapping_of
from oxcart._wire.keys import QueueKeys

SCANNED = 1_000
"""How many children one call of a sweep looks at, and how many jobs it removes, about."""


@dataclass(frozen=True, slots=True)
class EncodedNode:
    """A node of a flow ready to be sent.

    Attributes:
        keys: its queue.
        job: the job.
        is_inner: whether its parent is of the same insert.
    """

    keys: QueueKeys
    job: EncodedJob
    is_inner: bool


def add_flow(nodes: Sequence[EncodedNode], *, clock: Clock, nonce: str) -> Call[list[Added]]:
    """Add trees of jobs in one atomic step, all or nothing.

    Args:
        nodes: parents before their children.
        clock: what the time is.
        nonce: makes sending it a second time harmless.

    Returns:
        A call that answers what became of each node; a single refusal if nothing was added.
    """
    args: list[Word] = [clock.now_ms(), NONCE_MS]
    for node in nodes:
        args += (node.keys.base, "1" if node.is_inner else "0")
        args += node.job
    return script_call(
        "add_flow",
        (nodes[0].keys.private("add", nonce),),
        args,
        lambda reply: read_added(reply, len(nodes)),
        is_repeatable=True,
    )


def remove_unprocessed_children(
    keys: QueueKeys, job_id: str, cursor: str = "0", *, count: int = SCANNED, most: int = SCANNED
) -> Call[tuple[str | None, int]]:
    """Remove a part of a parent's pending children (7.15).

    Args:
        keys: the parent's queue.
        job_id: the parent.
        cursor: where to go on; ``"0"`` at first.
        count: how many children are looked at, about.
        most: no further child is removed after so many jobs, descendants included.

    Returns:
        A call that answers where to go on, ``None`` at the end, and how many were removed.
    """

    def read(reply: list[Any]) -> tuple[str | None, int]:
        following, removed, is_cut = reply[0].decode(), int(reply[1]), reply[2] == 1
        return (None if following == "0" and not is_cut else following), removed

    words = (job_id, cursor, count, most)
    return script_call("remove_unprocessed_children", (keys.base,), words, read, is_repeatable=True)


def remove_child_dependency(keys: QueueKeys, job_id: str) -> Call[int]:
    """Cut the tie between a job and its parent; answers 0, 1 if there is none, or a code (7.15)."""
    return script_call("remove_child_dependency", (keys.job(job_id),), (), int)


def get_children_values(keys: QueueKeys, job_id: str) -> Call[dict[str, JsonValue]]:
    """What a parent's completed children returned, by their full keys."""
    return command(("HGETALL", keys.processed(job_id)), _values)


def get_ignored_failures(keys: QueueKeys, job_id: str) -> Call[dict[str, str]]:
    """Why children failed whose failure the parent ignores, by their full keys."""
    return command(("HGETALL", keys.ignored(job_id)), _texts)


def get_dependencies(keys: QueueKeys, job_id: str) -> tuple[Call[Any], ...]:
    """A parent's children; the replies are read by ``dependencies_of``."""
    return (
        get_children_values(keys, job_id),
        command(("SMEMBERS", keys.dependencies(job_id)), _keys),
        get_ignored_failures(keys, job_id),
        command(("ZRANGE", keys.unsuccessful(job_id), 0, -1), _keys),
    )


def dependencies_of(replies: Sequence[Any]) -> Dependencies:
    """Put the replies of ``get_dependencies`` together."""
    processed, unprocessed, ignored, failed = replies
    return Dependencies(
        processed=processed, unprocessed=unprocessed, ignored=ignored, failed=failed
    )


def count_dependencies(keys: QueueKeys, job_id: str) -> tuple[Call[int], ...]:
    """How many children a parent has of each kind, in the order of ``DependencyCounts``."""
    return (
        command(("HLEN", keys.processed(job_id)), int),
        command(("SCARD", keys.dependencies(job_id)), int),
        command(("HLEN", keys.ignored(job_id)), int),
        command(("ZCARD", keys.unsuccessful(job_id)), int),
    )


def dependency_counts_of(replies: Sequence[int]) -> DependencyCounts:
    """Put the replies of ``count_dependencies`` together."""
    processed, unprocessed, ignored, failed = replies
    return DependencyCounts(
        processed=processed, unprocessed=unprocessed, ignored=ignored, failed=failed
    )


def _values(reply: Any) -> dict[str, JsonValue]:
    return {key.decode(): decode_json_or_text(value) for key, value in mapping_of(reply).items()}


def _texts(reply: Any) -> dict[str, str]:
    return {
        key.decode(): value.decode(errors="replace") for key, value in mapping_of(reply).items()
    }


def _keys(reply: Any) -> tuple[str, ...]:
    return tuple(sorted(key.decode(errors="replace") for key in reply))
