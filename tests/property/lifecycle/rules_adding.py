"""Rules that add: jobs, children, deduplicated jobs, flows."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from tests.property.lifecycle.adding import is_ancestor
from tests.property.lifecycle.machine import (
    Machine,
    a_delay,
    a_pick,
    a_policy,
    a_priority,
    a_queue,
    an_id,
)
from tests.property.lifecycle.world import NewJob

from oxcart import Deduplication
from oxcart._store.calls import limits

MOST_JOBS = 14
DEDUP_IDS = ("d", "e")

a_dedup = st.builds(
    Deduplication,
    id=st.sampled_from([*DEDUP_IDS, DEDUP_IDS[0], DEDUP_IDS[0]]),
    ttl=st.sampled_from([None, None, "1h"]),
    extend=st.booleans(),
    replace=st.sampled_from([False, False, True]),
    reschedule=st.booleans(),
    keep_last_if_active=st.booleans(),
)
a_node = st.fixed_dictionaries(
    {
        "queue": a_queue, "id": an_id, "priority": a_priority, "delay_ms": a_delay,
        "policy": a_policy, "parent": st.integers(0, 10),
    }
)  # fmt: skip
mostly_one_queue = st.sampled_from(["q", "q", "q", "r"])
has_room = precondition(lambda self: len(self.world.jobs) < MOST_JOBS)


class PlainAdds(Machine):
    """Jobs for themselves."""

    @has_room
    @rule(queue=a_queue, job_id=an_id, priority=a_priority, delay_ms=a_delay, is_lifo=st.booleans())
    def add(
        self, queue: str, job_id: str | None, priority: int, delay_ms: int, is_lifo: bool
    ) -> None:
        new = NewJob(queue=queue, id=job_id, priority=priority, delay_ms=delay_ms, is_lifo=is_lifo)
        self.driver.add(new)


class DeduplicatedAdds(Machine):
    """Jobs of which one at a time may be there."""

    @has_room
    @rule(
        queue=mostly_one_queue, job_id=an_id, dedup=a_dedup, delay_ms=a_delay, priority=a_priority
    )
    def add_deduplicated(
        self, queue: str, job_id: str | None, dedup: Deduplication, delay_ms: int, priority: int
    ) -> None:
        new = NewJob(queue=queue, id=job_id, dedup=dedup, delay_ms=delay_ms, priority=priority)
        self.driver.add(new)

    @rule(queue=a_queue, dedup_id=st.sampled_from(DEDUP_IDS), pick=a_pick)
    def free_a_deduplication_id(self, queue: str, dedup_id: str, pick: int) -> None:
        model, keys = self.queue(queue), self.driver.keys[queue]
        holder = model.holders.get(dedup_id)
        if pick % 3 == 0:  # or its time is over: the same
            freed = self.driver.run(limits.free_deduplication_id(keys, dedup_id))
            assert freed is (holder is not None)
        else:
            job_id = holder.job_id if holder and pick % 3 == 1 else "somebody"
            call = limits.release_deduplication_id(keys, dedup_id, job_id)
            freed = self.driver.run(call)
            assert freed is (holder is not None and holder.job_id == job_id)
        if freed:
            del model.holders[dedup_id]


class FamilyAdds(Machine):
    """Children of jobs that are there, and whole flows."""

    @has_room
    @rule(
        queue=a_queue, job_id=an_id, pick=a_pick, policy=a_policy, delay_ms=a_delay,
        is_gone=st.sampled_from([False, False, False, True]),
    )  # fmt: skip
    def add_child(
        self,
        queue: str,
        job_id: str | None,
        pick: int,
        policy: Any,
        delay_ms: int,
        is_gone: bool,
    ) -> None:
        parent = self.job(pick)
        if parent is None or (job_id and is_ancestor(self.world, (queue, job_id), parent.ref)):
            return
        link = (parent.queue, "nobody") if is_gone else parent.ref
        new = NewJob(queue=queue, id=job_id, delay_ms=delay_ms, parent=link, policy=policy)
        self.driver.add(new)

    @has_room
    @rule(nodes=st.lists(a_node, min_size=1, max_size=5))
    def add_flow(self, nodes: list[dict[str, Any]]) -> None:
        tree: list[NewJob] = []
        for at, given in enumerate(nodes):
            node = NewJob(**{**given, "id": given["id"] or f"n-{self.driver.steps}-{at}"})
            node.parent = None
            if any((node.queue, node.id) == (other.queue, other.id) for other in tree):
                continue
            if tree:
                above = tree[given["parent"] % len(tree)]
                node.parent = (above.queue, above.id or "")
                if any(
                    is_ancestor(self.world, (node.queue, node.id or ""), of) for of in refs(tree)
                ):
                    continue
                above.has_children = True
            tree.append(node)
        self.driver.steps += 1
        self.driver.add_flow(tree)


def refs(tree: list[NewJob]) -> list[tuple[str, str]]:
    """The jobs of a tree."""
    return [(node.queue, node.id or "") for node in tree]
