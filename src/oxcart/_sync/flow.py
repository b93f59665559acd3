# Generated from src/oxcart/flow.py by scripts/generate-sync: change that one.
"""Flows: adding trees of jobs over several queues, and reading them back."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, Self

from oxcart._engine.environment import prefix_or_default
from oxcart._engine.locating import locate
from oxcart._model.clock import Clock, ServerClock
from oxcart._model.flow import MAX_NODES, Flow, FlowNode
from oxcart._model.job import check_spec
from oxcart._model.links import ParentRef
from oxcart._queue.sending import check_added, record_of
from oxcart._store.calls import flows, reading, switching
from oxcart._store.calls.adding import Added, encode_job
from oxcart._store.calls.flows import EncodedNode
from oxcart._store.connection import Timeouts
from oxcart._store.slots import check_slots
from oxcart._store.sync_store import SyncStore
from oxcart._sync.base import VERSION
from oxcart._sync.closing import Closing
from oxcart._sync.job import Job
from oxcart._sync.queue import Queue
from oxcart._wire.keys import QueueKeys, split_job_key
from oxcart.errors import ConfigError


@dataclass(frozen=True, slots=True)
class FlowJob:
    """A job of a flow with its children's.

    Attributes:
        job: the job.
        children: its children, in the order in which they were given; when read back, in any.
    """

    job: Job[Any]
    children: tuple[FlowJob, ...] = ()


@dataclass(frozen=True, slots=True)
class _Placed:
    """A node with the id and the place that were chosen for it."""

    node: FlowNode
    keys: QueueKeys
    job_id: str
    parent: _Placed | None


class FlowProducer(Closing):
    """Adds flows: trees of jobs in which a parent runs when its children are settled.

    It blocks, and may be shared by threads.

    Connections are opened when they are first needed. On a cluster all queues of a flow must share
    a slot: give the prefix a hash tag, such as ``{bull}``.

    Args:
        redis_url: see ``Queue``.
        prefix: what the keys of nodes without a prefix of their own start with; see ``Queue``.
        data_dir: see ``Queue``.
        timeouts: how long to wait for the server.
        clock: tells the time instead of the server, for tests.
        store: an open store to share instead of ``redis_url``.
    """

    def __init__(
        self,
        *,
        redis_url: str | None = None,
        prefix: str | None = None,
        data_dir: str | PathLike[str] | None = None,
        timeouts: Timeouts | None = None,
        clock: Clock | None = None,
        store: SyncStore | None = None,
    ) -> None:
        self._owns_store = store is None
        self._store = store or SyncStore(locate(redis_url, data_dir), timeouts=timeouts)
        self._prefix = prefix_or_default(prefix)
        self._clock = clock or ServerClock()
        self._queues: dict[QueueKeys, Queue] = {}
        self._opened: set[str] = set()

    def add(self, flow: Flow | FlowNode) -> FlowJob:
        """Add a flow in one atomic step: all of it or nothing.

        A node whose id is in its queue already is not added anew; it becomes a child as it is, and
        counts as settled if it is completed.

        Raises:
            ConfigError: the tree is too large, or an option is wrong.
            PayloadError: JSON cannot hold a node's data, or it is over its size limit.
            ParentNotFound: the root's parent is not there.
            ParentConflict: a node is there already as the child of another parent.
            StoreUnavailable: the server cannot be reached.
        """
        return self.add_many([flow])[0]

    def add_many(self, trees: Iterable[Flow | FlowNode]) -> list[FlowJob]:
        """Add several flows in one atomic step: all of them or nothing; see ``add``.

        All of them together have 10,000 jobs at the most, as one flow has: the step holds the
        server while it adds them. Add more in several calls.
        """
        if isinstance(trees, Flow | FlowNode):
            raise ConfigError("add_many takes a list of flows; add takes one")
        all_flows = [tree if isinstance(tree, Flow) else Flow(tree) for tree in trees]
        if not all_flows:
            return []
        placed = [item for flow in all_flows for item in self._place(flow)]
        if len(placed) > MAX_NODES:
            raise ConfigError(
                f"the {len(all_flows):,} flows have {len(placed):,} jobs; one call adds "
                f"{MAX_NODES:,} at the most, and nothing was added: add them in several calls"
            )
        check_slots(self._store.location, *{item.keys for item in placed})
        try:
            encoded = [_encode(item, self._prefix) for item in placed]
        except AttributeError:
            for item in placed:
                check_spec(item.node.spec)
            raise
        self._open({item.keys for item in placed})
        call = flows.add_flow(encoded, clock=self._clock, nonce=uuid.uuid4().hex)
        added = self._store.run(call)
        if added[0].status < 0:
            self._refuse(placed, added[0])
        jobs = [self._job_of(item, result) for item, result in zip(placed, added, strict=True)]
        return _trees_of(placed, jobs)

    def get_flow(
        self, queue: str, job_id: str, *, depth: int = 10, max_children: int = 20
    ) -> FlowJob | None:
        """Read a flow back, from a job downwards.

        Args:
            queue: the job's queue.
            job_id: the job.
            depth: how many levels are read, the job's own included.
            max_children: how many children of each job are read.

        Returns:
            The job with its children; ``None`` if it is not there.
        """
        return self._read(QueueKeys(self._prefix, queue), job_id, depth, max_children)

    def close(self) -> None:
        """Close the producer's own connections; what uses it afterwards raises ``ConfigError``.

        Entering it as a context manager opens it again, as often as one likes. One for asyncio is
        closed for the running event loop alone.
        """
        if self._owns_store:
            self._store.end("the flow producer")

    def __enter__(self) -> Self:
        """Return the same; open again if it was closed."""
        if self._owns_store:
            self._store.begin()
        return self

    def _queue(self, keys: QueueKeys) -> Queue:
        queue = self._queues.get(keys)
        if queue is None:
            queue = Queue(keys.queue, prefix=keys.prefix, clock=self._clock, store=self._store)
            self._queues[keys] = queue
        return queue

    def _place(self, flow: Flow) -> list[_Placed]:
        placed: dict[int, _Placed] = {}
        for node, parent in flow.nodes():
            placed[id(node)] = _Placed(
                node,
                QueueKeys(node.prefix or self._prefix, node.queue),
                node.options.job_id or str(uuid.uuid4()),
                None if parent is None else placed[id(parent)],
            )
        return list(placed.values())

    def _open(self, queues: set[QueueKeys]) -> None:
        missing = [keys for keys in queues if keys.base not in self._opened]
        calls = [
            switching.open_queue(keys, version=VERSION, events_length=None) for keys in missing
        ]
        if calls:
            self._store.run_all(calls)
            self._opened |= {keys.base for keys in missing}

    def _refuse(self, placed: Sequence[_Placed], added: Added) -> None:
        by_id = {item.job_id: item for item in reversed(placed)}
        item = by_id.get(added.job_id, placed[0])
        check_added(item.node.spec, added, item.keys)

    def _job_of(self, item: _Placed, added: Added) -> Job[Any]:
        record = record_of(item.node.spec, added)
        if item.parent is not None:
            record = replace(record, parent_key=item.parent.keys.job(item.parent.job_id))
        return Job.of(record, self._queue(item.keys), is_new=added.is_new)

    def _read(self, keys: QueueKeys, job_id: str, depth: int, max_children: int) -> FlowJob | None:
        record = self._store.run(reading.get_job(keys, job_id))
        if record is None:
            return None
        job: Job[Any] = Job.of(record, self._queue(keys))
        children: list[FlowJob] = []
        if depth > 1:
            calls = flows.get_dependencies(keys, job_id)
            found = flows.dependencies_of(self._store.run_all(calls))
            for child_key in found.all_keys()[:max_children]:
                prefix, queue, child_id = split_job_key(child_key)
                child_keys = QueueKeys(prefix, queue)
                child = self._read(child_keys, child_id, depth - 1, max_children)
                if child is not None:
                    children.append(child)
        return FlowJob(job, tuple(children))


def _encode(item: _Placed, prefix: str) -> EncodedNode:
    spec = item.node.spec
    if item.parent is not None:
        keys = item.parent.keys
        parent = ParentRef(queue=keys.queue, id=item.parent.job_id, prefix=keys.prefix)
        spec = replace(spec, options=replace(spec.options, parent=parent))
    job = encode_job(
        spec,
        prefix=item.node.prefix or prefix,
        has_children=bool(item.node.children),
        job_id=item.job_id,
    )
    return EncodedNode(item.keys, job, is_inner=item.parent is not None)


def _trees_of(placed: Sequence[_Placed], jobs: Sequence[Job[Any]]) -> list[FlowJob]:
    """Put the jobs together as trees; children stand after their parents, so from the end."""
    children: dict[int, list[FlowJob]] = {}
    roots = []
    for item, job in zip(reversed(placed), reversed(jobs), strict=True):
        tree = FlowJob(job, tuple(reversed(children.pop(id(item), []))))
        if item.parent is None:
            roots.append(tree)
        else:
            children.setdefault(id(item.parent), []).append(tree)
    return roots[::-1]
