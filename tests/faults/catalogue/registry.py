"""The scenarios of the catalogue, by name, and the result of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

SCENARIOS: dict[str, Scenario] = {}
"""Every scenario in the order of the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One fault with its load and its promise.

    Attributes:
        name: how it is run.
        group: heading of its rows in the table.
        fault: what is done.
        promise: what must hold besides the common invariants.
        body: runs it.
        options: keyword arguments of the body.
        short: arguments that replace them in the ordinary suite; ``None`` leaves it out of there.
        needs: a program or privilege that the machine must have, such as ``redis-server``.
        number: how many were registered before it.
        is_exclusive: run alone, because it measures throughput or takes the whole machine.
    """

    name: str
    group: str
    fault: str
    promise: str
    body: Callable[..., None]
    options: Mapping[str, Any] = field(default_factory=dict)
    short: Mapping[str, Any] | None = None
    needs: str | None = None
    number: int = 0
    is_exclusive: bool = False


def scenario(
    name: str,
    *,
    group: str,
    fault: str,
    promise: str,
    options: Mapping[str, Any] | None = None,
    short: Mapping[str, Any] | None = None,
    needs: str | None = None,
    is_exclusive: bool = False,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a scenario; several may share one function."""

    def register(body: Callable[..., None]) -> Callable[..., None]:
        if name in SCENARIOS:
            raise ValueError(f"there are two scenarios named {name!r}")
        SCENARIOS[name] = Scenario(
            name=name,
            group=group,
            fault=fault,
            promise=promise,
            body=body,
            options=options or {},
            short=short,
            needs=needs,
            number=len(SCENARIOS),
            is_exclusive=is_exclusive,
        )
        return body

    return register
