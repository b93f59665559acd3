"""The command ``oxcart worker`` with its processes, on the session's server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from tests.faults.aftermath import Aftermath
from tests.faults.commands import WorkerCommand
from tests.faults.processes import Ledger

from oxcart.sync import Queue

Start = Callable[..., WorkerCommand]


@pytest.fixture
def start(tmp_path: Path, prefix: str, ledger: Ledger, valkey_url: str) -> Iterator[Start]:
    """Start the command; whatever of it still runs is killed at the end."""
    started: list[WorkerCommand] = []

    def begin(*options: str, url: str | None = valkey_url, **more: str) -> WorkerCommand:
        command = WorkerCommand(
            *options, folder=tmp_path, prefix=prefix, ledger=ledger, url=url, **more
        )
        started.append(command)
        return command

    yield begin
    for command in started:
        command.kill_all()


@pytest.fixture
def aftermath(valkey: redis.Redis, prefix: str, ledger: Ledger) -> Aftermath:
    """What is left, on the session's server."""
    return Aftermath(valkey, prefix, ledger)


@pytest.fixture
def queue(valkey_url: str, prefix: str) -> Iterator[Queue]:
    with Queue("q", redis_url=valkey_url, prefix=prefix) as opened:
        yield opened
