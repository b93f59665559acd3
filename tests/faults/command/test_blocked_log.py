"""The command's log goes into a pipe that is not read, as when a log collector hangs."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.aftermath import Aftermath
from tests.faults.commands import WorkerCommand
from tests.faults.processes import Ledger
from tests.support import wait_until_sync

from oxcart.observe.log_writer import MAX_LINES
from oxcart.sync import Queue

LONG_S = 60


class LogPipe:
    """A pipe that is read when a test says so."""

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        self.path = f"/proc/self/fd/{self._write_end}"
        self._parts: list[bytes] = []
        self._thread = threading.Thread(target=self._read, daemon=True)

    @property
    def text(self) -> str:
        return b"".join(self._parts).decode()

    def start_reading(self) -> None:
        self._thread.start()

    def close(self) -> None:
        os.close(self._write_end)
        if self._thread.ident is not None:
            self._thread.join(LONG_S)
        os.close(self._read_end)

    def _read(self) -> None:
        while part := os.read(self._read_end, 1 << 20):
            self._parts.append(part)


@pytest.fixture
def pipe() -> Iterator[LogPipe]:
    pipe = LogPipe()
    yield pipe
    pipe.close()


@pytest.fixture
def command(
    pipe: LogPipe, tmp_path: Path, prefix: str, ledger: Ledger, valkey_url: str
) -> Iterator[WorkerCommand]:
    """The command with its log in the pipe."""
    command = WorkerCommand(
        folder=tmp_path, prefix=prefix, ledger=ledger, url=valkey_url, output=pipe.path
    )
    yield command
    command.kill_all()


def test_jobs_go_on_while_the_log_is_not_read_and_dropped_lines_are_counted(
    command: WorkerCommand, pipe: LogPipe, aftermath: Aftermath, valkey_url: str
) -> None:
    with Queue("q", redis_url=valkey_url, prefix=aftermath.prefix) as queue:
        talking = queue.add("talk", {"lines": 3 * MAX_LINES})
        jobs = [queue.add("work").id for _ in range(200)]
        aftermath.wait_for(201, within=LONG_S)
        pipe.start_reading()
        wait_until_sync(
            lambda: "log.records_dropped" in pipe.text, within=LONG_S, what="the count of lines"
        )
        command.process.terminate()
        code = command.wait()

    assert 0 == code
    aftermath.check_all_completed([talking.id, *jobs], extra_runs=0)
    text = pipe.text
    assert 0 < text.index("line 0") < text.index("line 1") < text.index(f"line {MAX_LINES - 1}")
    assert f"line {3 * MAX_LINES - 1}" not in text
    assert "worker.loop_blocked" not in text


def test_command_whose_log_is_not_read_stops_in_time(
    command: WorkerCommand, aftermath: Aftermath, valkey_url: str
) -> None:
    with Queue("q", redis_url=valkey_url, prefix=aftermath.prefix) as queue:
        queue.add("talk", {"lines": MAX_LINES})
        aftermath.wait_for(1, within=LONG_S)
    command.process.send_signal(signal.SIGTERM)

    assert 0 == command.wait()
