"""A data folder that no process is left in, and other processes to share it with."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.integration.embedded.processes import Program, processes_naming
from tests.support import wait_until_sync

from oxcart.embedded import EmbeddedValkey


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder to be; a test that leaves a process in it fails, and the process is killed."""
    yield tmp_path / "data"
    left = processes_naming(tmp_path)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until_sync(lambda: not processes_naming(tmp_path), what="the killed processes are gone")
    assert left == {}


@pytest.fixture
def embedded(data_dir: Path) -> Iterator[EmbeddedValkey]:
    """A server that this process owns."""
    with EmbeddedValkey(data_dir) as server:
        yield server


@pytest.fixture
def new_program(data_dir: Path) -> Iterator[Callable[..., Program]]:
    """Starts other processes that embed the server of the same data folder."""
    programs: list[Program] = []

    def start(**options: float) -> Program:
        programs.append(Program(data_dir, **options))
        return programs[-1]

    yield start
    # The owner last: whoever joined leaves first.
    for program in reversed(programs):
        if not program.has_ended:
            program.leave()
