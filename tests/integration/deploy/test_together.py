"""``oxcart all``, and SIGTERM at every moment: what a container's only process must do right."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import redis
from tests.integration.cli.programs import environment, processes_of, running
from tests.support import free_port, wait_until_sync

from oxcart._model.json import JsonValue
from oxcart.sync import Queue

START_S = 90
STOP_S = 60


def can_unshare() -> bool:
    """Whether a process may have a namespace of process ids, in which it is the first."""
    command = ["unshare", "--pid", "--fork", "true"]
    return (
        shutil.which("unshare") is not None and not subprocess.run(command, check=False).returncode
    )


def settings(folder: Path, valkey_url: str, prefix: str, **more: str) -> dict[str, str]:
    return environment(
        folder,
        REDIS_URL=valkey_url,
        OXCART_PREFIX=prefix,
        OXCART_API_PORT=str(free_port()),
        OXCART_HEALTH_DIR=str(folder / "health"),
        **more,
    )


def wait_until_up(folder: Path) -> None:
    wait_until_sync(
        lambda: len(list((folder / "health").glob("*.beat"))) == 3,
        within=START_S,
        what="both programs to be ready",
    )


def test_one_that_dies_ends_the_other_and_the_whole_fails(
    tmp_path: Path, valkey_url: str, prefix: str
) -> None:
    env = settings(tmp_path, valkey_url, prefix)

    with running("all", env=env, folder=tmp_path) as both:
        wait_until_up(tmp_path)
        os.kill(_pid_of("worker", both.pid, tmp_path), signal.SIGKILL)
        code = both.wait(STOP_S)

    assert 1 == code
    assert "program.ended_by_itself" in (tmp_path / "output.log").read_text()
    assert [] == processes_of(tmp_path)


def test_second_signal_reaches_the_worker_which_puts_its_jobs_back(
    tmp_path: Path, valkey_url: str, prefix: str, valkey: redis.Redis
) -> None:
    """The mail's server takes the connection and then says nothing, so the job would go on."""
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        Queue("email", redis_url=valkey_url, prefix=prefix) as queue,
    ):
        port = str(silent.getsockname()[1])
        env = settings(tmp_path, valkey_url, prefix, SMTP_HOST="127.0.0.1", SMTP_PORT=port)
        data: JsonValue = {"type": "welcome", "toEmail": "ada@example.org", "name": "Ada"}
        job = queue.add("welcome", data)
        with running("all", env=env, folder=tmp_path) as both:
            wait_until_up(tmp_path)
            active = f"{prefix}:email:active"
            wait_until_sync(lambda: valkey.llen(active), within=30, what="the job to run")
            both.send_signal(signal.SIGTERM)
            wait_until_sync(
                lambda: "worker.stopping" in (tmp_path / "output.log").read_text(),
                within=30,
                what="the worker to be told",
            )
            both.send_signal(signal.SIGTERM)
            code = both.wait(STOP_S)

    assert 0 == code, (tmp_path / "output.log").read_text()
    assert [] == valkey.lrange(active, 0, -1)
    assert [job.id.encode()] == valkey.lrange(f"{prefix}:email:wait", 0, -1)


@pytest.mark.parametrize("program", ["all", "dev"])
def test_signal_to_the_whole_tree_counts_once(
    tmp_path: Path, valkey_url: str, prefix: str, valkey: redis.Redis, program: str
) -> None:
    """systemd gives SIGTERM to every process of a unit, if it is not told otherwise."""
    output = tmp_path / "output.log"
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        Queue("email", redis_url=valkey_url, prefix=prefix) as queue,
    ):
        port = str(silent.getsockname()[1])
        env = settings(tmp_path, valkey_url, prefix, SMTP_HOST="127.0.0.1", SMTP_PORT=port)
        data: JsonValue = {"type": "welcome", "toEmail": "ada@example.org", "name": "Ada"}
        job = queue.add("welcome", data)
        with running(program, env=env, folder=tmp_path) as command:
            active = f"{prefix}:email:active"
            wait_until_sync(lambda: valkey.llen(active), within=START_S, what="the job to run")
            tree = processes_of(tmp_path)
            command.send_signal(signal.SIGTERM)
            wait_until_sync(
                lambda: "worker.stopping" in output.read_text(),
                within=30,
                what="the worker to be told",
            )
            for pid in tree:
                if pid != command.pid:
                    with suppress(ProcessLookupError):  # the API has ended
                        os.kill(pid, signal.SIGTERM)
            with pytest.raises(AssertionError):  # the job goes on
                wait_until_sync(lambda: not valkey.llen(active), within=2, what="the job to end")
            command.send_signal(signal.SIGTERM)
            code = command.wait(STOP_S)

    assert 0 == code, output.read_text()
    assert [job.id.encode()] == valkey.lrange(f"{prefix}:email:wait", 0, -1)
    assert [] == processes_of(tmp_path)


@pytest.mark.skipif(not can_unshare(), reason="no namespaces of process ids here")
@pytest.mark.parametrize("program", ["all", "dev"])
def test_first_process_of_a_container_reaps_processes_whose_parent_has_died(
    tmp_path: Path, valkey_url: str, prefix: str, program: str
) -> None:
    stranger = tmp_path / "stranger"
    shutil.copy(shutil.which("sleep") or "", stranger)
    env = settings(tmp_path, valkey_url, prefix)
    script = f'({stranger} 1 &); exec "$0" -m oxcart {program}'
    with (tmp_path / "output.log").open("wb") as output:
        container = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", script, sys.executable],
            env=env,
            stdout=output,
            stderr=output,
        )
    try:
        wait_until_sync(lambda: "stranger" in _names(), what="the process to be left alone")
        wait_until_sync(
            lambda: "stranger" not in _names(), within=START_S, what="the process to be reaped"
        )
        assert container.poll() is None
    finally:
        container.kill()
        container.wait()
        wait_until_sync(lambda: not processes_of(tmp_path), within=30, what="all to end")


def _names() -> set[str]:
    """The names of all processes, those that are not reaped among them."""
    names = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            names.add((entry / "comm").read_text().strip())
    return names


def test_signal_during_the_start_ends_it_at_once(
    tmp_path: Path, valkey_url: str, prefix: str
) -> None:
    """The database takes the connection and says nothing: the start would wait for it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(START_S)
        url = f"postgresql://u:p@127.0.0.1:{silent.getsockname()[1]}/x"
        env = settings(tmp_path, valkey_url, prefix, DATABASE_URL=url)
        with running("worker", env=env, folder=tmp_path) as worker:
            connection, _ = silent.accept()
            with connection:
                worker.send_signal(signal.SIGTERM)
                code = worker.wait(STOP_S)

    assert 143 == code, (tmp_path / "output.log").read_text()
    assert "Traceback" not in (tmp_path / "output.log").read_text()


def _pid_of(program: str, parent: int, folder: Path) -> int:
    """The child that runs a program, and not the process that this one starts in turn."""
    for pid in processes_of(folder):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if words[-2:-1] == [program.encode()] and int(fields[1]) == parent:
            return pid
    raise AssertionError(f"no {program} runs")
