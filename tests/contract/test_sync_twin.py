"""The blocking API is the asyncio one: generated from it, with the same names and signatures."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import oxcart
from oxcart import sync

ROOT = Path(__file__).parents[2]
PAIRS = [pytest.param(getattr(oxcart, name), getattr(sync, name), id=name) for name in sync.__all__]
SPECIAL = {"__init__", "__aenter__", "__aexit__", "__aiter__"}
RENAMED = {"aclose": "close", "__aenter__": "__enter__", "__aexit__": "__exit__"}
RENAMED["__aiter__"] = "__iter__"


def test_generated_twin_is_fresh() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/sync_twin.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ("", "", 0) == (done.stdout, done.stderr, done.returncode), "run scripts/generate-sync"


def test_everything_that_works_on_jobs_has_a_twin() -> None:
    assert sync.__all__ == [
        name
        for name in oxcart.__all__
        if name in {"FlowJob", "FlowProducer", "Job", "Queue", "QueueEvents"}
    ]


@pytest.mark.parametrize(("ours", "twin"), PAIRS)
def test_public_names_are_equal(ours: type[Any], twin: type[Any]) -> None:
    assert {RENAMED.get(name, name) for name in _public(ours)} == set(_public(twin))


@pytest.mark.parametrize(("ours", "twin"), PAIRS)
def test_signatures_are_equal(ours: type[Any], twin: type[Any]) -> None:
    names = [name for name in _public(ours) if callable(getattr(ours, name))]
    expected = {RENAMED.get(name, name): _signature(getattr(ours, name)) for name in names}

    assert expected == {name: _signature(getattr(twin, name)) for name in expected}


@pytest.mark.parametrize(("ours", "twin"), PAIRS)
def test_nothing_of_the_twin_is_a_coroutine_and_all_of_it_is_documented(
    ours: type[Any], twin: type[Any]
) -> None:
    methods = {name: getattr(twin, name) for name in _public(twin)}
    documented = [name for name in _public(ours) if getattr(ours, name).__doc__]

    assert [
        name
        for name, method in methods.items()
        if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)
    ] == []
    assert [name for name in documented if not methods[RENAMED.get(name, name)].__doc__] == []


def test_a_job_has_the_same_members() -> None:
    assert [item.name for item in fields(oxcart.Job)] == [item.name for item in fields(sync.Job)]


def test_importing_the_twin_imports_nothing_heavy() -> None:
    program = "import sys, oxcart.sync; print([n for n in sys.modules if n.startswith('redis')])"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "[]" == done.stdout.strip()


def _public(kind: type[Any]) -> list[str]:
    special = SPECIAL | set(RENAMED.values())
    return [
        name
        for name in dir(kind)
        if not name.startswith("_")
        or (name in special and hasattr(getattr(kind, name), "__code__"))
    ]


def _signature(function: Any) -> str:
    """A signature in the words of the twin."""
    written = re.sub(r"\bStore\b", "SyncStore", str(inspect.signature(function)))
    return written.replace("AsyncIterator", "Iterator")
