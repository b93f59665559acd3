"""Flows: trees of jobs in which a parent runs when its children are settled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from oxcart._model.ids import check_prefix, check_queue_name
from oxcart._model.job import JobSpec
from oxcart._model.json import JsonValue
from oxcart._model.options import PLAIN_OPTIONS, JobOptions, check_kind
from oxcart.errors import ConfigError

MAX_NODES = 10_000
"""One insert is one atomic call: a larger one would hold the server for too long."""


@dataclass(frozen=True, slots=True)
class FlowNode:
    """A job of a flow, with the children that it waits for. Its ``repr`` leaves the payload out.

    Attributes:
        name: which handler runs it.
        queue: its queue; the nodes of a flow may be in different ones.
        data: the payload: anything JSON can hold.
        options: how it is queued and run; ``parent`` is for a root alone.
        children: jobs that must be settled before it runs.
        prefix: its queue's prefix; ``None`` for the producer's.
    """

    name: str
    queue: str
    data: JsonValue = field(default_factory=dict, repr=False)
    options: JobOptions = PLAIN_OPTIONS
    children: Sequence[FlowNode] = ()
    prefix: str | None = None

    def __post_init__(self) -> None:
        """Check what can be checked of one node."""
        check_queue_name(self.queue)
        if self.prefix is not None:
            check_prefix(self.prefix)
        check_kind("options", self.options, JobOptions)
        try:
            object.__setattr__(self, "children", tuple(self.children))
        except TypeError:
            raise ConfigError(
                f"the children of flow node {self.name!r} are a {type(self.children).__name__}; "
                "they must be a list of FlowNode"
            ) from None
        if self.children and self.options.deduplication is not None:
            raise ConfigError(f"flow node {self.name!r} has children and a deduplication id")

    def with_children(self, children: Iterable[FlowNode]) -> FlowNode:
        """The same job waiting for these children, besides those that it has."""
        return replace(self, children=(*self.children, *children))

    @property
    def spec(self) -> JobSpec:
        """The job alone."""
        return JobSpec(name=self.name, data=self.data, options=self.options)


@dataclass(frozen=True, slots=True)
class Flow:
    """A tree of jobs that is added as one.

    Attributes:
        root: the job that runs last.
    """

    root: FlowNode

    def __post_init__(self) -> None:
        """Check the tree.

        Raises:
            ConfigError: it is too large, a child names another parent or has a deduplication id,
                or two nodes of a queue have the same id.
        """
        try:
            self._check()
        except AttributeError:
            for node, _ in self.nodes():
                _check_node(node)
            raise

    def _check(self) -> None:
        seen: set[tuple[str | None, str, str]] = set()
        for number, (node, parent) in enumerate(self.nodes()):
            if number >= MAX_NODES:
                raise ConfigError(f"the flow has more than {MAX_NODES:,} jobs; add it in parts")
            _check_inner(node, parent)
            if node.options.job_id is not None:
                name = (node.prefix, node.queue, node.options.job_id)
                if name in seen:
                    raise ConfigError(f"the flow has job id {name[2]!r} twice in queue {name[1]!r}")
                seen.add(name)

    def nodes(self) -> Iterator[tuple[FlowNode, FlowNode | None]]:
        """Every node with its parent, parents before their children, siblings in order."""
        pending: list[tuple[FlowNode, FlowNode | None]] = [(self.root, None)]
        while pending:
            node, parent = pending.pop()
            yield node, parent
            pending += [(child, node) for child in reversed(node.children)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """How a parent's children stand, each by its full key (``prefix:queue:id``).

    Attributes:
        processed: what completed children returned.
        unprocessed: children that are not settled.
        ignored: why children failed whose failure the parent ignores.
        failed: children whose failure fails the parent.
    """

    processed: dict[str, JsonValue] = field(repr=False)
    unprocessed: tuple[str, ...]
    ignored: dict[str, str]
    failed: tuple[str, ...]

    def all_keys(self) -> list[str]:
        """The keys of all children, each once."""
        kinds = (self.processed, self.unprocessed, self.ignored, self.failed)
        return list(dict.fromkeys(key for kind in kinds for key in kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class DependencyCounts:
    """How many of a parent's children stand how; see ``Dependencies``."""

    processed: int
    unprocessed: int
    ignored: int
    failed: int


def _check_node(node: object) -> None:
    if not isinstance(node, FlowNode):
        raise ConfigError(
            f"a node of the flow is a {type(node).__name__}; it must be a FlowNode, as in "
            "FlowNode('send', 'email', data={}), or what JobDefinition.node() gives"
        )


def _check_inner(node: FlowNode, parent: FlowNode | None) -> None:
    if parent is None:
        return
    if node.options.parent is not None:
        raise ConfigError(f"flow node {node.name!r} has a parent in the flow and another option")
    if node.options.deduplication is not None:
        raise ConfigError(f"flow node {node.name!r} has a parent and a deduplication id")
