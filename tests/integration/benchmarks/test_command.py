"""The command: what it prints, what it keeps, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from benchmarks import __main__ as command
from tests.support import ValkeyServer


@pytest.fixture
def valkey_to_empty() -> Iterator[ValkeyServer]:
    """A server of the test's own: the suite empties the database that it is given."""
    server = ValkeyServer()
    server.start()
    yield server
    server.remove()


def test_run_prints_an_object_a_measurement_and_keeps_them(
    valkey_to_empty: ValkeyServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    words = "run --workload noop --systems floor --jobs 50 --concurrency 7 --repeat 2 --json"

    code = command.main([*words.split(), "--redis-url", valkey_to_empty.url, "--save", "kept"])

    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 0
    assert [
        [row[key] for key in ("system", "workload", "concurrency", "jobs", "repetition")]
        for row in rows
    ] == [["floor", "noop", 7, 50, 1], ["floor", "noop", 7, 50, 2]]
    assert all(row["enqueue_per_s"] > 0 and row["process_per_s"] > 0 for row in rows)
    assert json.loads((tmp_path / "kept.json").read_text(encoding="utf-8"))["rows"] == rows
    assert redis.Redis.from_url(valkey_to_empty.url).dbsize() == 0


def test_database_with_keys_is_left_alone(
    own_valkey: ValkeyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    own_valkey.command("SET", "precious", "1")

    with pytest.raises(SystemExit):
        command.main(["run", "--systems", "floor", "--redis-url", own_valkey.url])

    assert "is not empty" in capsys.readouterr().err
    assert own_valkey.command("GET", "precious") == b"1"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("run --systems floor,nobody", "no system nobody; there are oxcart"),
        ("run --workload nothing", "no workload nothing; there are noop"),
    ],
)
def test_unknown_names_are_refused(
    words: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command.main(words.split())

    assert says in capsys.readouterr().err


def test_list_shows_workloads_and_systems(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["list"]) == 0

    shown = capsys.readouterr().out
    assert "  lateness " in shown
    assert "  bullmq-node " in shown
