"""``oxcart status`` of real queues: what it shows, and its exit codes."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.integration.cli.programs import environment, run, running
from tests.support import wait_until_sync

from oxcart.sync import Queue

SHOP = """
import oxcart

app = oxcart.App()


@app.job(queue="shop", attempts=1)
def pay(amount: int) -> int:
    return 10 // amount
"""


class Shop:
    """An application with one queue, in a folder of its own."""

    def __init__(self, folder: Path, client: redis.Redis, url: str, prefix: str) -> None:
        (folder / "shop.py").write_text(SHOP)
        self.folder = folder
        self.client = client
        self.base = f"{prefix}:shop"
        self.queue = Queue("shop", redis_url=url, prefix=prefix)
        self.env = environment(
            folder, REDIS_URL=url, OXCART_PREFIX=prefix, PYTHONPATH=str(folder), COLUMNS="80"
        )

    def status(self) -> tuple[int, dict[str, Any], dict[str, Any]]:
        """The exit code, the report and the part of the queue."""
        done = run("status", "shop:app", "--json", env=self.env)
        report = json.loads(done.stdout)
        return done.returncode, report, report["queues"][0]


@pytest.fixture
def shop(tmp_path: Path, valkey: redis.Redis, valkey_url: str, prefix: str) -> Iterator[Shop]:
    made = Shop(tmp_path, valkey, valkey_url, prefix)
    yield made
    made.queue.close()


def kinds_of(queue: dict[str, Any]) -> list[str]:
    return [problem["kind"] for problem in queue["problems"]]


def test_empty_queue_without_a_worker_is_healthy(shop: Shop) -> None:
    """Hosts that run bursts have no worker most of the time."""
    code, report, queue = shop.status()

    assert (0, "healthy", True, 0) == (
        code,
        report["overallStatus"],
        queue["isHealthy"],
        queue["workerCount"],
    )


def test_paused_queue_without_a_worker_is_degraded(shop: Shop) -> None:
    for _ in range(5):
        shop.queue.add("pay", {"amount": 1})
    shop.queue.pause()

    code, report, queue = shop.status()
    table = run("status", "shop:app", env=shop.env)

    assert (1, "degraded", True) == (code, report["overallStatus"], queue["isPaused"])
    assert ["paused", "no_worker"] == kinds_of(queue)
    assert (5, 0) == (queue["waitingCount"], queue["workerCount"])
    assert 0 <= queue["oldestWaitingSeconds"] < 60
    assert 1 == table.returncode
    assert "shop: the queue is paused, and 5 jobs are ready" in table.stdout
    assert "shop: no worker is connected, and 5 jobs are ready" in table.stdout
    assert max(map(len, table.stdout.splitlines())) <= 80


def test_worker_that_is_connected_is_counted(shop: Shop) -> None:
    with running("worker", "shop:app", env=shop.env, folder=shop.folder):
        wait_until_sync(shop.queue.get_workers, within=30, what="the worker to connect")
        job = shop.queue.add("pay", {"amount": 5})
        assert 2 == job.result()
        code, _, queue = shop.status()

    assert (0, 1, [], 1) == (code, queue["workerCount"], kinds_of(queue), queue["completedCount"])


def test_name_that_no_live_worker_has_a_handler_for_is_told(
    shop: Shop, valkey_url: str, prefix: str
) -> None:
    """Until a worker is connected whose names are not known."""
    with running("worker", "shop:app", env=shop.env, folder=shop.folder):
        wait_until_sync(shop.queue.get_registered_workers, within=30, what="the worker to register")
        shop.queue.pause()
        shop.queue.add("pay", {"amount": 1})
        for _ in range(3):
            shop.queue.add("refund", {"amount": 1})

        code, _, queue = shop.status()
        table = run("status", "shop:app", env=shop.env).stdout
        with redis.Redis.from_url(valkey_url) as node:
            connection_name = f"{prefix}:{base64.b64encode(b'shop').decode()}:w:node"
            node.client_setname(connection_name)
            _, _, beside_node = shop.status()

    assert (1, {"refund": 3}, 1) == (code, queue["namesWithoutWorker"], queue["workerCount"])
    assert ["paused", "no_worker_for_name"] == kinds_of(queue)
    shown = "shop: no live worker has a handler for 'refund' (3 waiting); the live worker has: pay"
    assert shown in " ".join(table.split())
    assert ({}, 2) == (beside_node["namesWithoutWorker"], beside_node["workerCount"])


def test_many_failures_count_as_long_as_they_are_recent(shop: Shop) -> None:
    now_ms = round(time.time() * 1_000)
    for number in range(11):
        job = shop.queue.add("pay", {"amount": 0}, job_id=f"pay-{number}")
        shop.client.lrem(f"{shop.base}:wait", 0, job.id)
        shop.client.zadd(f"{shop.base}:failed", {job.id: now_ms})

    recent = shop.status()
    shop.client.zadd(f"{shop.base}:failed", {f"pay-{n}": now_ms - 20 * 60_000 for n in range(11)})
    later = shop.status()

    assert (1, ["failures"], 11) == (
        recent[0],
        kinds_of(recent[2]),
        recent[2]["failedLatelyCount"],
    )
    assert (0, [], 11, 0) == (
        later[0],
        kinds_of(later[2]),
        later[2]["failedCount"],
        later[2]["failedLatelyCount"],
    )


def test_long_wait_and_jobs_of_a_dead_worker_are_told(shop: Shop) -> None:
    job = shop.queue.add("pay", {"amount": 1})
    held = shop.queue.add("pay", {"amount": 1})
    shop.client.hset(f"{shop.base}:{job.id}", "timestamp", round(time.time() * 1_000) - 3_600_000)
    shop.client.lrem(f"{shop.base}:wait", 0, held.id)
    shop.client.lpush(f"{shop.base}:active", held.id)

    code, _, queue = shop.status()
    table = run("status", "shop:app", env=shop.env).stdout

    assert (1, ["no_worker", "long_wait", "no_lock"]) == (code, kinds_of(queue))
    assert 3_600 <= queue["oldestWaitingSeconds"] < 3_700
    assert "shop: the oldest job has been ready for 1 h 0 m" in table
    assert "shop: 1 active without a lock" in table


def test_server_that_is_down_is_named_with_the_reason_and_without_its_password(
    shop: Shop,
) -> None:
    url = "redis://worker:s3cret@127.0.0.1:1/3"
    env = {**shop.env, "REDIS_URL": url}

    table = run("status", "shop:app", env=env)
    done = run("status", "shop:app", "--json", env=env)

    report = json.loads(done.stdout)
    assert (3, 3) == (table.returncode, done.returncode)
    assert ("unhealthy", False) == (report["overallStatus"], report["redisConnected"])
    assert "redis://worker:***@127.0.0.1:1/3" == report["redisUrl"]
    assert "the server cannot be reached: " in report["redisError"]
    assert "redis://worker:***@127.0.0.1:1/3" in table.stdout
    assert "refused" in table.stdout
    assert "s3cret" not in table.stdout + table.stderr + done.stdout + done.stderr


def test_table_has_no_colours_where_there_is_no_terminal(shop: Shop) -> None:
    table = run("status", "shop:app", env=shop.env)

    assert "\x1b" not in table.stdout
    assert ["queue", "health", "ready", "active", "delayed", "failed", "done", "oldest"] == (
        table.stdout.split()[:8]
    )
