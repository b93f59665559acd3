"""What the peers' adapters share, and what their folders hold; the peers themselves are not run."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from benchmarks.meter import Meter
from benchmarks.peers.common import Data, Shift, add_jobs, add_jobs_blocking, until
from benchmarks.protocol import Order
from benchmarks.systems import PEERS, System, all_systems

PINNED = sorted(PEERS.glob("*/requirements.txt"))
ONCE_EACH = Counter(f"user{number}@example.com" for number in range(25))
WAYS: list[dict[str, Any]] = [{}, {"callers": 4}, {"rate": 5_000}]


@pytest.mark.parametrize("path", PINNED, ids=lambda path: path.parent.name)
def test_peers_requirements_are_pinned_with_hashes_and_name_no_host(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    for requirement in re.split(r"\n(?! )", text.strip()):
        assert re.match(r"[\w.-]+(\[[\w,]+\])?==\S+", requirement)
        assert "--hash=sha256:" in requirement
    assert "//" not in text
    assert (path.parent / "requirements.in").exists()


@pytest.mark.parametrize("system", all_systems(), ids=lambda system: system.name)
def test_system_says_what_it_is(system: System) -> None:
    assert system.about
    assert system.server in {"redis", "postgresql"}


@pytest.mark.parametrize("options", WAYS, ids=str)
async def test_each_job_is_added_once(
    options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    added: Counter[str] = Counter()

    async def add(data: Data) -> None:
        await asyncio.sleep(0)
        added[data["to"]] += 1

    async def add_many(datas: list[Data]) -> None:
        assert len(datas) <= 10
        added.update(data["to"] for data in datas)

    await add_jobs(Order(url="", jobs=25, options=options), add, add_many, batch=10)

    assert ONCE_EACH == added
    assert json.loads(capsys.readouterr().out)["jobs"] == 25


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_each_job_is_added_once_by_blocking_calls(
    options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    added: list[str] = []

    def add(data: Data) -> None:
        added.append(data["to"])

    add_jobs_blocking(Order(url="", jobs=25, options=options), add)

    assert ONCE_EACH == Counter(added)
    assert json.loads(capsys.readouterr().out)["jobs"] == 25


def test_option_that_an_adapter_does_not_know_is_refused() -> None:
    order = Order(url="", jobs=1, options={"priorities": 3})

    with pytest.raises(SystemExit, match="'priorities'"):
        add_jobs_blocking(order, lambda _: None)


async def test_shift_ends_with_the_last_handler(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "meter"
    Meter.create(path)
    order = Order(url="", jobs=3, handler="sleep", sleep_ms=1, meter=str(path))
    shift = Shift(order)
    handle = shift.handler()

    async with asyncio.TaskGroup() as group:
        group.create_task(shift.last())
        for number in range(3):
            group.create_task(_run(handle, order.due_data(number)))

    ready, worked = map(json.loads, capsys.readouterr().out.splitlines())
    assert ready == {"ready": True}
    assert worked["jobs"] == 3
    assert worked["last"] - worked["first"] >= 0.001
    assert len(Meter(path).latencies()) == 3


async def test_until_waits_for_a_count_of_either_kind() -> None:
    left = [2, 1, 0]

    async def pop() -> int:
        return left.pop(0)

    await until(pop, 0)
    await until(lambda: len(left), 0)

    assert left == []


async def _run(handle: Any, data: Data) -> None:
    await handle(data)
