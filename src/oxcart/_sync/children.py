# Generated from src/oxcart/_queue/children.py by scripts/generate-sync: change that one.
"""A parent's children and a child's parent (wire format, sections 7.15, 8 and 12.5)."""

from __future__ import annotations

from oxcart._model.flow import Dependencies, DependencyCounts
from oxcart._model.json import JsonValue
from oxcart._store.calls import flows
from oxcart._sync.base import QueueBase


class QueueChildren(QueueBase):
    """How the children of a queue's jobs stand."""

    def get_children_values(self, job_id: str) -> dict[str, JsonValue]:
        """What a parent's completed children returned, by their full keys (prefix:queue:id)."""
        return self._store.run(flows.get_children_values(self._keys, self._check_id(job_id)))

    def get_ignored_children_failures(self, job_id: str) -> dict[str, str]:
        """Why children failed whose failure the parent ignores, by their full keys."""
        return self._store.run(flows.get_ignored_failures(self._keys, self._check_id(job_id)))

    def get_dependencies(self, job_id: str) -> Dependencies:
        """All children of a parent, by how they stand."""
        calls = flows.get_dependencies(self._keys, self._check_id(job_id))
        return flows.dependencies_of(self._store.run_all(calls))

    def get_dependencies_count(self, job_id: str) -> DependencyCounts:
        """How many children of a parent stand how."""
        calls = flows.count_dependencies(self._keys, self._check_id(job_id))
        return flows.dependency_counts_of(self._store.run_all(calls))

    def remove_unprocessed_children(self, job_id: str) -> int:
        """Remove a parent's children that are pending and not being run, with their descendants.

        About 1,000 jobs are removed a call of the server, until all children were looked at.

        Returns:
            How many children were removed.
        """
        total, cursor = 0, "0"
        while True:
            call = flows.remove_unprocessed_children(self._keys, self._check_id(job_id), cursor)
            following, removed = self._write(call)
            total += removed
            if following is None:
                return total
            cursor = following

    def remove_child_dependency(self, job_id: str) -> bool:
        """Cut the tie between a child and its parent, which then does not wait for it.

        Returns:
            Whether the parent waited for it.

        Raises:
            JobNotFound: there is no such job, or its parent is gone.
        """
        call = flows.remove_child_dependency(self._keys, self._check_id(job_id))
        return self._change(call, job_id) == 0
