"""``oxcart worker`` serves a user's own application."""

from __future__ import annotations

import signal
from pathlib import Path

import redis
from tests.integration.cli.programs import environment, running
from tests.support import wait_until_sync

from oxcart.sync import Queue

APP = """
import oxcart

app = oxcart.App(prefix={prefix!r})


@app.job(queue="sums")
def add(left: int, right: int) -> int:
    return left + right
"""


def test_application_is_found_in_the_working_directory_and_stops_on_sigterm(
    tmp_path: Path, valkey_url: str, prefix: str, valkey: redis.Redis
) -> None:
    (tmp_path / "shop.py").write_text(APP.format(prefix=prefix))
    env = environment(tmp_path, REDIS_URL=valkey_url, PYTHONPATH=str(tmp_path))
    queue = Queue("sums", redis_url=valkey_url, prefix=prefix)
    job = queue.add("add", {"left": 2, "right": 3})

    with running("worker", "shop:app", "-q", "sums:3", env=env, folder=tmp_path) as worker:
        wait_until_sync(
            lambda: valkey.zscore(f"{prefix}:sums:completed", job.id), what="the job to complete"
        )
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(20)

    done = queue.get_job(job.id)
    queue.close()
    assert done is not None
    assert (0, 5) == (code, done.return_value)
    assert b"1" == valkey.hget(f"{prefix}:sums:metrics:completed", "count")
