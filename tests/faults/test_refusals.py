"""A server that answers and refuses: nothing that ran meanwhile runs again, nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis
from tests.faults.aftermath import Aftermath
from tests.faults.conftest import StartWorker
from tests.faults.processes import Ledger, WorkerProcess
from tests.faults.refusals import PASSWORD, REFUSALS, Refusal, memory_full
from tests.support import REDIS, VALKEY, ValkeyServer, free_port, wait_until, wait_until_sync

from oxcart import JobSpec, Queue, sync
from oxcart.errors import StoreUnavailable

JOBS = 8
PATIENT = {"lock": "30s", "stalled_interval": "30s"}
"""Options of a worker whose locks outlive the refusal."""


@pytest.fixture(params=["valkey", "redis"])
def binary(request: pytest.FixtureRequest) -> Path:
    """The program of each server in turn: their errors are worded differently."""
    if request.param == "valkey":
        return VALKEY
    if REDIS is None:
        pytest.skip("there is no redis-server on the path; apt-get install redis-server")
    return Path(REDIS)


@pytest.fixture
def prefix(prefix: str) -> str:
    """A prefix with a hash tag, which keeps the queue's keys in one slot of a cluster."""
    return f"{{{prefix}}}"


@pytest.fixture(params=REFUSALS)
def refusal(request: pytest.FixtureRequest) -> Refusal:
    return REFUSALS[request.param]


@pytest.fixture
def own_valkey(binary: Path, refusal: Refusal) -> Iterator[ValkeyServer]:
    """A server of the test's own."""
    options = ["--enable-debug-command", "yes"]
    if refusal.needs_cluster:
        options += ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
    server = ValkeyServer(is_durable=True, binary=binary, options=options)
    server.start()
    if refusal.needs_cluster:
        server.command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        wait_until_sync(lambda: _is_whole(server), what="the cluster to be whole")
    yield server
    server.remove()


@pytest.fixture
def client(own_valkey: ValkeyServer) -> Iterator[redis.Redis]:
    """A client on one connection that is let in whatever the server refuses to others."""
    own_valkey.command("ACL", "SETUSER", "admin", "on", ">adm1n", "~*", "&*", "+@all")
    url = own_valkey.url.replace("://", "://admin:adm1n@")
    opened = redis.Redis.from_url(url, single_connection_client=True)
    yield opened
    opened.close()


@pytest.fixture
async def queue(own_valkey: ValkeyServer, prefix: str) -> AsyncIterator[Queue]:
    async with Queue("q", redis_url=own_valkey.url, prefix=prefix) as opened:
        yield opened


async def begun(ledger: Ledger, count: int) -> None:
    await wait_until(
        lambda: len(ledger.lines("start")) >= count, within=20, what=f"{count} runs to begin"
    )


async def all_done(aftermath: Aftermath, count: int) -> None:
    await wait_until(
        lambda: aftermath.completed_count() >= count, within=20, what=f"{count} jobs to complete"
    )


async def test_jobs_that_ended_while_the_server_refused_do_not_run_again(
    own_valkey: ValkeyServer,
    client: redis.Redis,
    queue: Queue,
    prefix: str,
    refusal: Refusal,
    start_worker: StartWorker,
    ledger: Ledger,
    aftermath: Aftermath,
) -> None:
    added = await queue.add_many([JobSpec(name="work", data={"ms": 500})] * JOBS)
    job_ids = [job.id for job in added]
    worker = start_worker(**PATIENT)
    await begun(ledger, JOBS)

    with refusal.during(own_valkey, client):
        for add in (_add, _add_from_blocking_code):
            with pytest.raises(StoreUnavailable, match=refusal.reason) as refused:
                await add(own_valkey.url, prefix)
            assert PASSWORD not in str(refused.value)
        await wait_until(lambda: len(ledger.lines("end")) >= JOBS, what="the jobs to end")
        if not refusal.lets_steps_through:
            await wait_until(lambda: _is_waiting(worker), what="the worker to wait")
    afterwards = await queue.add("work", {"ms": 1})
    await all_done(aftermath, JOBS + 1)

    assert worker.is_alive
    assert PASSWORD not in "\n".join(worker.log_lines())
    aftermath.check_all_completed([*job_ids, afterwards.id], extra_runs=0)


@pytest.mark.parametrize("refusal", [REFUSALS["oom"]], ids=["oom"])
async def test_jobs_that_outlive_their_locks_while_memory_is_full_go_on(
    own_valkey: ValkeyServer,
    client: redis.Redis,
    queue: Queue,
    start_worker: StartWorker,
    ledger: Ledger,
    aftermath: Aftermath,
) -> None:
    added = await queue.add_many([JobSpec(name="work", data={"ms": 4_000})] * JOBS)
    start_worker()
    await begun(ledger, JOBS)

    with memory_full(own_valkey, client):
        await wait_until(lambda: len(ledger.lines("end")) >= JOBS, what="the jobs to end")
    await all_done(aftermath, JOBS)

    aftermath.check_all_completed([job.id for job in added], extra_runs=0)


async def _add(url: str, prefix: str) -> None:
    async with Queue("q", redis_url=url, prefix=prefix) as queue:
        await queue.add("work", {"ms": 1})


async def _add_from_blocking_code(url: str, prefix: str) -> None:
    def add() -> None:
        with sync.Queue("q", redis_url=url, prefix=prefix) as queue:
            queue.add("work", {"ms": 1})

    await asyncio.to_thread(add)


def _is_waiting(worker: WorkerProcess) -> bool:
    return any("waiting_for_server" in line for line in worker.log_lines())


def _is_whole(server: ValkeyServer) -> bool:
    return b"cluster_state:ok" in server.command("CLUSTER", "INFO")
