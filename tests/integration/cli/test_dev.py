"""``oxcart dev`` starts everything and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import httpx2
from tests.integration.cli.programs import environment, processes_of, running
from tests.support import free_port, wait_until_sync

START_S = 40


def _is_healthy(port: int) -> bool:
    try:
        answer = httpx2.get(f"http://127.0.0.1:{port}/api/health", trust_env=False, timeout=3)
    except httpx2.TransportError:
        return False
    return bool(answer.json()["status"] == "healthy")


def test_ctrl_c_stops_the_whole_process_tree(tmp_path: Path) -> None:
    port = free_port()
    env = environment(tmp_path)

    with running("dev", "--port", str(port), "--no-sample", env=env, folder=tmp_path) as dev:
        wait_until_sync(lambda: _is_healthy(port), within=START_S, what="oxcart dev to be healthy")
        dev.send_signal(signal.SIGINT)
        code = dev.wait(30)

    output = (tmp_path / "output.log").read_text()
    assert 0 == code, output
    record = json.loads((tmp_path / "data" / "valkey" / "server.json").read_text())
    assert f"redis://:***@127.0.0.1:{record['port']}/0" in output
    assert record["password"] not in output
    assert [] == processes_of(tmp_path)


def test_children_end_when_the_parent_is_killed(tmp_path: Path) -> None:
    port = free_port()
    env = environment(tmp_path)

    with running("dev", "--port", str(port), "--no-sample", env=env, folder=tmp_path) as dev:
        wait_until_sync(lambda: _is_healthy(port), within=START_S, what="oxcart dev to be healthy")
        dev.kill()
        dev.wait()

        wait_until_sync(
            lambda: processes_of(tmp_path) == [], within=60, what="children and Valkey to end"
        )


def test_default_user_gets_an_export_out_of_a_fresh_installation(tmp_path: Path) -> None:
    port = free_port()
    env = environment(tmp_path)

    with (
        running("dev", "--port", str(port), env=env, folder=tmp_path) as dev,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10) as http,
    ):
        wait_until_sync(lambda: _is_healthy(port), within=START_S, what="oxcart dev to be healthy")
        export = http.post("/api/exports", json={"type": "ANALYTICS"}).json()["exportJob"]
        url = _finished_url(http, export["id"])
        content = httpx2.get(url, trust_env=False).content
        dev.send_signal(signal.SIGINT)
        dev.wait(30)

    assert content


def _finished_url(http: httpx2.Client, export_id: str) -> str:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        export = http.get(f"/api/exports/{export_id}").json()["export"]
        if export["status"] == "COMPLETED":
            return str(export["fileUrl"])
        os.sched_yield()
    raise AssertionError(f"export {export_id} was not finished in 20 s")
