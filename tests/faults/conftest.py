from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.faults.aftermath import Aftermath
from tests.faults.processes import QUICK, Ledger, WorkerProcess
from tests.loops import pytest_asyncio_loop_factories, running_loop_name  # noqa: F401  # a hook
from tests.support import ValkeyServer

StartWorker = Callable[..., WorkerProcess]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """What the handlers of the test's workers write down."""
    return Ledger(tmp_path / "ledger.jsonl")


@pytest.fixture
def client(own_valkey: ValkeyServer) -> Iterator[redis.Redis]:
    """A plain client of the test's own server."""
    opened = redis.Redis.from_url(own_valkey.url)
    yield opened
    opened.close()


@pytest.fixture
def start_worker(
    own_valkey: ValkeyServer, prefix: str, tmp_path: Path, ledger: Ledger
) -> Iterator[StartWorker]:
    """Start worker processes on the test's kind of loop; those alive at the end are killed."""
    started: list[WorkerProcess] = []

    def start(
        *, url: str | None = None, queues: dict[str, int] | None = None, **options: Any
    ) -> WorkerProcess:
        process = WorkerProcess(
            url=url or own_valkey.url,
            prefix=prefix,
            queues=queues or {"q": 8},
            ledger=ledger,
            log=tmp_path / f"worker-{len(started)}.log",
            options={**QUICK, **options},
            loop=running_loop_name(),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def aftermath(client: redis.Redis, prefix: str, ledger: Ledger) -> Aftermath:
    """What is left when it is over, looked at from outside the library."""
    return Aftermath(client, prefix, ledger)
