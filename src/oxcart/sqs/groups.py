"""In which groups FIFO queues keep the order."""

from __future__ import annotations

import hashlib

from oxcart._model.job import JobSpec


def one_group(queue: str, _: JobSpec) -> str:
    """Keep the order of all jobs of a queue: the group unless you tell another."""
    return queue


def group_by_person(queue: str, spec: JobSpec) -> str:
    """Keep the order of each user's jobs, or each recipient's, of the built-in system.

    Addresses are hashed: groups are shown in logs and metrics of AWS.
    """
    data = spec.data if isinstance(spec.data, dict) else {}
    whose = data.get("userId") or data.get("toEmail")
    if not isinstance(whose, str):
        return queue
    return hashlib.sha256(whose.strip().lower().encode(errors="replace")).hexdigest()
