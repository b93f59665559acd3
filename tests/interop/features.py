"""Which operations and options a vector uses, and which of them oxcart does not have yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.interop.node_options import unsupported
from tests.interop.operations import OLDER_RELEASE, OPERATIONS, Operation
from tests.interop.registry import COMMON_FIELDS, JOB_OPTIONS
from tests.interop.vectors import STATES, Step, Vector

NOT_YET_FILE = Path(__file__).with_name("not_yet.txt")


def not_yet() -> set[str]:
    """The explicit list of what is not built."""
    lines = NOT_YET_FILE.read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def missing_in(vector: Vector) -> set[str]:
    """What a vector needs that cannot be replayed, by the names that the list uses."""
    return {feature for step in vector.steps for feature in _missing_in(step)}


def is_supported(feature: str) -> bool:
    """Whether something that could stand on the list can be replayed."""
    kind, _, name = feature.rpartition(":")
    match kind:
        case "option":
            return name in JOB_OPTIONS
        case "worker":
            return any(name in operation.worker for operation in OPERATIONS.values())
        case "state":
            return name in STATES
        case "field":
            operation, _, field = name.partition(".")
            return operation in OPERATIONS and field in OPERATIONS[operation].fields
        case _:
            return feature in OPERATIONS


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
