"""Which operations and options a vector uses, and which of them cannot be replayed.

None, as the vectors are: one with something new must fail instead of passing over it in silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.interop.node_options import unsupported
from tests.interop.operations import OLDER_RELEASE, OPERATIONS, Operation
from tests.interop.registry import COMMON_FIELDS, JOB_OPTIONS
from tests.interop.vectors import STATES, Step, Vector


def missing_in(vector: Vector) -> set[str]:
    """What a vector needs that cannot be replayed."""
    return {feature for step in vector.steps for feature in _missing_in(step)}


def _missing_in(step: Step) -> Iterator[str]:
    name = step["op"]
    operations = OLDER_RELEASE if "library" in step else OPERATIONS
    operation = operations.get(name)
    if operation is None:
        yield f"library:{name}" if "library" in step else name
        return
    yield from (f"field:{name}.{field}" for field in step.keys() - COMMON_FIELDS - operation.fields)
    yield from (f"worker:{field}" for field in (step.get("worker") or {}).keys() - operation.worker)
    # Where BullMQ refuses the options, it does not matter whether oxcart has them.
    if step.get("result") != {"refused": True}:
        yield from (f"option:{option}" for option in _missing_options(step, operation))
    if name in ("getJobs", "clean"):
        states = step["types"] if name == "getJobs" else [step["type"]]
        yield from (f"state:{state}" for state in states if state not in STATES)


def _missing_options(step: Step, operation: Operation) -> Iterator[str]:
    given: list[dict[str, Any]] = [step.get("opts") or {}]
    given += [job.get("opts") or {} for job in step.get("jobs", [])]
    for options in given:
        if operation.options == JOB_OPTIONS:
            yield from unsupported(options)
        else:
            yield from options.keys() - operation.options
