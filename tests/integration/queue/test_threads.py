"""What only blocking code does: many threads, forks, and waits that nobody can cancel."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import redis
from tests.integration.engine.running import running
from tests.support import ValkeyServer, wait_until_sync

from oxcart import App, Flow, FlowNode, JobSpec, JobState, Timeouts, sync
from oxcart.errors import JobFailed, ResultTimeout

PREFORK = """
import os, sys
from oxcart import sync

queue = sync.Queue("q", redis_url=sys.argv[1], prefix=sys.argv[2])
queue.add("n", "parent")
children = []
for number in range(3):
    if (child := os.fork()) == 0:
        for _ in range(20):
            queue.add("n", number)
        os._exit(0)
    children.append(child)
for _ in range(20):
    queue.add("n", "parent")
assert [0, 0, 0] == [os.waitpid(child, 0)[1] for child in children]
"""
"""A server such as gunicorn: it is warm before it forks."""


@pytest.fixture
def blocking(valkey_url: str, prefix: str) -> Iterator[sync.Queue]:
    with sync.Queue("q", redis_url=valkey_url, prefix=prefix) as queue:
        yield queue


def test_threads_share_a_queue(blocking: sync.Queue) -> None:
    start = threading.Barrier(8)

    def use(number: int) -> list[sync.Job[Any]]:
        start.wait(20)
        added = []
        for turn in range(25):
            added.append(blocking.add("n", [number, turn]))
            added += blocking.add_many([JobSpec(name="m", data=[number, turn])] * 2)
            assert blocking.get_counts().waiting >= len(added)
        return added

    with ThreadPoolExecutor(8) as threads:
        jobs = [job for added in threads.map(use, range(8)) for job in added]

    assert 600 == len({job.id for job in jobs}) == blocking.get_counts().waiting
    kept = {job.id: job.data for job in blocking.iter_jobs(JobState.WAITING, page=70)}
    assert {job.id: job.data for job in jobs} == kept


def test_threads_share_a_producer_of_flows(valkey_url: str, prefix: str) -> None:
    with sync.FlowProducer(redis_url=valkey_url, prefix=prefix) as flows:

        def add(number: int) -> sync.FlowJob:
            children = [FlowNode("part", queue="parts", data=number) for _ in range(2)]
            return flows.add(Flow(FlowNode("whole", queue="wholes", children=children)))

        with ThreadPoolExecutor(6) as threads:
            added = list(threads.map(add, range(30)))

    assert 30 == len({tree.job.id for tree in added})
    assert 60 == len({child.job.id for tree in added for child in tree.children})


def test_a_queue_outlives_a_fork(blocking: sync.Queue, valkey_url: str, prefix: str) -> None:
    subprocess.run([sys.executable, "-c", PREFORK, valkey_url, prefix], check=True, timeout=60)

    data = [job.data for job in blocking.get_jobs(JobState.WAITING, end=-1)]
    assert [20, 20, 20, 21] == [data.count(who) for who in (0, 1, 2, "parent")]


@pytest.mark.parametrize("freezes_first", [True, False], ids=["before", "meanwhile"])
def test_the_wait_for_a_result_ends_in_time_though_the_server_stands_still(
    own_valkey: ValkeyServer, prefix: str, *, freezes_first: bool
) -> None:
    patience = Timeouts(connect="60s", command="60s")
    with sync.Queue("q", redis_url=own_valkey.url, prefix=prefix, timeouts=patience) as queue:
        job = queue.add("n")
        if freezes_first:
            with own_valkey.stopped(), _running(partial(job.result, "1s")) as waiting:
                took_s = _time_of_failure(waiting)
        else:
            with _running(partial(job.result, "1500ms")) as waiting:
                wait_until_sync(lambda: _blocked_count(own_valkey), what="it to be waited for")
                with own_valkey.stopped():
                    took_s = _time_of_failure(waiting)

    # Far from what the connection would allow: 60 s, or the block and its margin of 3 s.
    assert took_s < 4


async def test_blocking_code_waits_for_what_a_declared_job_returns(
    valkey_url: str, prefix: str
) -> None:
    async with App(valkey_url, prefix=prefix) as app:

        @app.job(queue="q", attempts=1)
        def halve(number: int) -> float:
            if number % 2:
                raise ValueError(f"{number} is odd")
            return number / 2

        def use() -> tuple[float, str]:
            even, odd = halve.enqueue_sync(8), halve.enqueue_sync(7)
            with pytest.raises(JobFailed) as caught:
                odd.result("20s")
            return even.result("20s"), str(caught.value)

        async with running(app.worker()):
            result, failure = await asyncio.to_thread(use)

    assert 4.0 == result
    assert "7 is odd" in failure


@contextmanager
def _running(work: Callable[[], object]) -> Iterator[Future[object]]:
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(work)


def _time_of_failure(waiting: Future[object]) -> float:
    started = time.monotonic()
    with pytest.raises(ResultTimeout, match="it goes on"):
        waiting.result(30)
    return time.monotonic() - started


def _blocked_count(server: ValkeyServer) -> int:
    with redis.Redis.from_url(server.url) as client:
        stats: Any = client.info("clients")
    return int(stats["blocked_clients"])
