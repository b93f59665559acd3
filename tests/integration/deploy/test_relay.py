"""What several processes say of themselves, told on as if it were one program."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.integration.cli.programs import environment, running
from tests.integration.deploy.test_systemd import APP, LONG_S, Systemd
from tests.support import wait_until_sync

from oxcart.cli.pulse import BeatFile
from oxcart.cli.relay import Relay
from oxcart.cli.systemd import Notifier

READY = {"READY": "1", "STATUS": "serving jobs"}
BEAT = {"WATCHDOG": "1"}
FAILING = """
import os

if os.path.exists(os.environ["TEST_FAILS_IF"]):
    raise RuntimeError("broken")
"""


@pytest.fixture
def address(tmp_path: Path) -> str:
    return str(tmp_path / "notify")


@pytest.fixture
def systemd(address: str) -> Iterator[Systemd]:
    systemd = Systemd(address)
    yield systemd
    systemd.close()


@pytest.fixture
def relay(systemd: Systemd, address: str, tmp_path: Path) -> Relay:
    notifier = Notifier(address, watchdog_s=4.0)
    return Relay(notifier, BeatFile(tmp_path, "worker"), processes=2)


def test_program_is_ready_when_all_processes_are(
    relay: Relay, systemd: Systemd, tmp_path: Path
) -> None:
    relay.hear(1, READY)
    was_there = (tmp_path / "worker.beat").exists()
    relay.hear(2, READY)

    assert [BEAT, {"READY": "1", "STATUS": "serving jobs, in 2 processes"}] == [
        systemd.next(), systemd.next(),
    ]  # fmt: skip
    assert [False, True] == [was_there, (tmp_path / "worker.beat").exists()]


def test_successor_that_is_ready_makes_the_program_ready_no_second_time(
    relay: Relay, systemd: Systemd
) -> None:
    for number in (1, 2):
        relay.hear(number, READY)
    relay.gone(2)
    relay.hear(2, READY)
    relay.hear(1, {"STOPPING": "1", "STATUS": "letting jobs finish"})

    heard = [systemd.next() for _ in range(3)]
    assert ["WATCHDOG", "READY", "STOPPING"] == [next(iter(facts)) for facts in heard]


def test_process_that_does_not_beat_silences_the_program(relay: Relay, systemd: Systemd) -> None:
    for number in (1, 2):
        relay.hear(number, READY)
    systemd.next_with("READY")

    for _ in range(3):
        relay.hear(1, BEAT)
    relay.hear(2, {"STOPPING": "1", "STATUS": "not beating"})

    assert "not beating" == systemd.next()["STATUS"]


def test_process_that_has_ended_silences_nobody(relay: Relay, systemd: Systemd) -> None:
    for number in (1, 2):
        relay.hear(number, READY)
    systemd.next_with("READY")

    relay.gone(2)
    relay.hear(1, BEAT)

    assert BEAT == systemd.next()


async def test_program_beats_by_itself_while_no_process_is_up(
    systemd: Systemd, address: str
) -> None:
    relay = Relay(Notifier(address, watchdog_s=0.2), None, processes=1)
    relay.hear(1, READY)
    systemd.next_with("READY")

    relay.gone(1)
    async with asyncio.TaskGroup() as group:
        beating = group.create_task(relay.beat_while_none_runs())
        beats = [await asyncio.to_thread(systemd.next) for _ in range(2)]
        relay.hear(1, READY)
        relay.hear(1, {"STOPPING": "1", "STATUS": "not beating"})
        after = await asyncio.to_thread(systemd.next_with, "STOPPING")
        silent = await asyncio.to_thread(systemd.is_silent_for, 0.6)
        beating.cancel()

    assert [BEAT, BEAT] == beats
    assert "not beating" == after["STATUS"]
    assert silent


def test_service_beats_while_a_process_is_waited_for(
    systemd: Systemd, address: str, tmp_path: Path, valkey_url: str, prefix: str
) -> None:
    """The wait before the restart is many times as long as systemd's patience."""
    (tmp_path / "naps.py").write_text(FAILING + APP.format(prefix=prefix))
    env = environment(
        tmp_path,
        NOTIFY_SOCKET=address,
        WATCHDOG_USEC="400000",
        REDIS_URL=valkey_url,
        PYTHONPATH=str(tmp_path),
        TEST_FAILS_IF=str(tmp_path / "broken"),
    )

    with running("worker", "naps:app", env=env, folder=tmp_path) as worker:
        output = tmp_path / "output.log"

        def has_logged(text: str, times: int = 1) -> bool:
            systemd.drain()
            return output.read_text().count(text) == times

        wait_until_sync(lambda: has_logged("worker.started"), within=LONG_S, what="a worker")
        (tmp_path / "broken").touch()
        os.kill(child_of(worker.pid), signal.SIGKILL)
        wait_until_sync(lambda: has_logged("restart_in_s", 5), within=LONG_S, what="a long wait")
        systemd.drain()
        beats = [systemd.next() for _ in range(8)]
        (tmp_path / "broken").unlink()
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(LONG_S)

    assert [BEAT] * 8 == beats
    assert 0 == code


def child_of(parent: int) -> int:
    """The process that another one has started."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "stat").read_text().rpartition(")")[2].split()[1] == str(parent):
                return int(entry.name)
    raise AssertionError(f"process {parent} has started none")


def test_what_all_wait_for_is_said_once(relay: Relay, systemd: Systemd) -> None:
    stopping = {"STOPPING": "1", "STATUS": "letting running jobs finish"}
    forced = {"STOPPING": "1", "STATUS": "putting running jobs back"}
    for facts in (stopping, stopping, forced, forced):
        relay.hear(1, facts)

    assert [stopping, forced] == [systemd.next(), systemd.next()]


def test_end_leaves_no_file(relay: Relay, tmp_path: Path) -> None:
    for number in (1, 2):
        relay.hear(number, READY)
    relay.end()

    assert not (tmp_path / "worker.beat").exists()


def test_worker_of_two_processes_is_one_service(
    systemd: Systemd, address: str, tmp_path: Path, valkey_url: str, prefix: str
) -> None:
    (tmp_path / "naps.py").write_text(APP.format(prefix=prefix))
    env = environment(
        tmp_path,
        NOTIFY_SOCKET=address,
        WATCHDOG_USEC="400000",
        REDIS_URL=valkey_url,
        PYTHONPATH=str(tmp_path),
        OXCART_PROCESSES="2",
        OXCART_HEALTH_DIR=str(tmp_path / "health"),
    )

    with running("worker", "naps:app", env=env, folder=tmp_path) as worker:
        ready = systemd.next_with("READY")
        beats = [systemd.next() for _ in range(3)]
        files = list((tmp_path / "health").iterdir())
        worker.send_signal(signal.SIGTERM)
        stopping = systemd.next_with("STOPPING")
        code = worker.wait(LONG_S)

    assert "serving naps, in 2 processes" == ready["STATUS"]
    assert [BEAT] * 3 == beats
    assert ["worker.beat"] == [path.name for path in files]
    assert "letting running jobs finish, for at most 30 s" == stopping["STATUS"]
    assert (0, []) == (code, list((tmp_path / "health").iterdir()))
