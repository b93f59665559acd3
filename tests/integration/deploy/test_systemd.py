"""systemd: what the programs tell it by its real protocol, and the units that are shipped."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.integration.cli.programs import environment, running
from tests.integration.deploy.dockerfile import ROOT
from tests.support import free_port

from oxcart._settings.checks import PROGRAMS, examine
from oxcart.cli.systemd import Notifier
from oxcart.settings import ENVIRONMENT, Settings
from oxcart.sync import Queue

UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
LONG_S = 60
SECRETS = ("OXCART_SIGNING_SECRET", "OXCART_OPERATOR_KEYS")
_SECONDS = {"s": 1, "min": 60}

APP = """
import time
import oxcart

app = oxcart.App(prefix={prefix!r})


@app.job(queue="naps")
async def nap() -> None:
    time.sleep(2)  # blocks the event loop
"""


class Systemd:
    """systemd's end of the socket: keeps what the programs say, in order."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(LONG_S)

    def next(self) -> dict[str, str]:
        """Wait for the next datagram; its facts."""
        lines = self._socket.recv(4096).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def next_with(self, name: str) -> dict[str, str]:
        """Wait for the next datagram that has a fact."""
        while name not in (facts := self.next()):
            pass
        return facts

    def drain(self) -> None:
        """Forget what was said until now."""
        self._socket.settimeout(0)
        with suppress(BlockingIOError):
            while True:
                self._socket.recv(4096)
        self._socket.settimeout(LONG_S)

    def is_silent_for(self, seconds: float) -> bool:
        """Whether nothing more is said in a time."""
        self._socket.settimeout(seconds)
        try:
            self._socket.recv(4096)
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(LONG_S)
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def address(tmp_path: Path) -> str:
    return str(tmp_path / "notify")


@pytest.fixture
def systemd(address: str) -> Iterator[Systemd]:
    systemd = Systemd(address)
    yield systemd
    systemd.close()


def test_abstract_socket_is_reached_and_child_programs_do_not_inherit_it() -> None:
    address = f"@oxcart-test-{os.getpid()}"
    systemd = Systemd(address)
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "3000000", "HOME": "/"}

    notifier = Notifier.take_from(environ)
    notifier.tell(READY="1", STATUS="listening")

    assert {"READY": "1", "STATUS": "listening"} == systemd.next()
    assert 3.0 == notifier.watchdog_s
    assert {"HOME": "/"} == environ
    systemd.close()


def test_watchdog_of_another_process_is_not_ours() -> None:
    environ = {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid() + 1)}

    assert Notifier.take_from(environ).watchdog_s is None


def test_systemd_that_is_gone_does_not_stop_the_program(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Notifier(str(tmp_path / "nobody")).tell(READY="1")

    assert "systemd.not_told" in caplog.text


def test_api_says_when_it_is_ready_beats_and_says_that_it_stops(
    systemd: Systemd, address: str, tmp_path: Path, valkey_url: str, prefix: str
) -> None:
    port = free_port()
    env = environment(
        tmp_path,
        NOTIFY_SOCKET=address,
        WATCHDOG_USEC="400000",
        REDIS_URL=valkey_url,
        OXCART_PREFIX=prefix,
        OXCART_API_PORT=str(port),
    )

    with running("api", env=env, folder=tmp_path) as api:
        ready = systemd.next_with("READY")
        beats = [systemd.next() for _ in range(3)]
        api.send_signal(signal.SIGTERM)
        stopping = systemd.next_with("STOPPING")
        code = api.wait(LONG_S)

    assert {"READY": "1", "STATUS": f"listening on http://127.0.0.1:{port}"} == ready
    assert [{"WATCHDOG": "1"}] * 3 == beats
    assert {"STOPPING": "1", "STATUS": "answering the requests under way"} == stopping
    assert 0 == code


def test_loop_that_a_job_blocks_does_not_beat(
    systemd: Systemd, address: str, tmp_path: Path, valkey_url: str, prefix: str
) -> None:
    (tmp_path / "naps.py").write_text(APP.format(prefix=prefix))
    env = environment(
        tmp_path,
        NOTIFY_SOCKET=address,
        WATCHDOG_USEC="400000",
        REDIS_URL=valkey_url,
        PYTHONPATH=str(tmp_path),
    )

    with running("worker", "naps:app", env=env, folder=tmp_path) as worker:
        ready = systemd.next_with("READY")
        with Queue("naps", redis_url=valkey_url, prefix=prefix) as queue:
            queue.add("nap")
            longest_s = _longest_silence(systemd, at_least_s=1.5)
        worker.send_signal(signal.SIGTERM)
        stopping = systemd.next_with("STOPPING")
        code = worker.wait(LONG_S)

    assert "serving naps" == ready["STATUS"]
    assert longest_s >= 1.5
    assert "letting running jobs finish, for at most 30 s" == stopping["STATUS"]
    assert 0 == code


def _longest_silence(systemd: Systemd, *, at_least_s: float) -> float:
    """Listen until the watchdog was silent for so long, or for a minute; the longest silence."""
    longest, begun = 0.0, time.monotonic()
    last = begun
    while longest < at_least_s and last - begun < LONG_S:
        systemd.next_with("WATCHDOG")
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    return longest


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_unit_is_one_that_systemd_takes(unit: Path, tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    sections = read(unit)
    assert ["Unit", "Service", "Install"] == list(sections)
    if verify is None:
        return  # without the tool the other tests of the unit are what there is
    # The tool wants the program to be there.
    copy = tmp_path / unit.name
    program = tmp_path / "oxcart"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy.write_text(unit.read_text().replace("/opt/oxcart/bin/oxcart", str(program)))
    done = subprocess.run([verify, "verify", copy], capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_unit_runs_its_program_with_watchdog_and_longer_to_stop_than_the_grace(
    unit: Path,
) -> None:
    service = read(unit)["Service"]
    program = unit.stem.removeprefix("oxcart-")

    assert "notify" == service["Type"][0]
    assert [f"/opt/oxcart/bin/oxcart {program}"] == service["ExecStart"]
    assert seconds(service["WatchdogSec"][0]) >= 60
    assert seconds(service["TimeoutStopSec"][0]) >= Settings().grace_seconds + 10


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_unit_may_write_nothing_but_its_state_and_has_no_rights(unit: Path) -> None:
    service = read(unit)["Service"]
    settings = Settings.from_env(dict(line.split("=", 1) for line in ours(service)))

    assert "strict" == service["ProtectSystem"][0]
    assert "true" == service["NoNewPrivileges"][0]
    assert "" == service["CapabilityBoundingSet"][0]
    assert "root" != service["User"][0]
    assert f"/var/lib/{service['StateDirectory'][0]}" == str(settings.data_dir)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_every_variable_of_ours_that_the_unit_sets_is_a_setting(unit: Path) -> None:
    known = {name for names in ENVIRONMENT.values() for name in names}
    set_here = {line.partition("=")[0] for line in ours(read(unit)["Service"])}

    assert set_here
    assert set_here <= known


def test_example_of_the_settings_is_complete_and_refused_before_it_is_filled_in() -> None:
    lines = (ROOT / "deploy/systemd/oxcart.env.example").read_text(encoding="utf-8").splitlines()
    given = dict(line.split("=", 1) for line in lines if line and line[0] != "#")
    given |= {"OXCART_ENV": "production"}
    filled = given | dict.fromkeys(SECRETS, "7f3K9xQ2mZ8vR4tB6nW1cY5hJ0pL2sD4")
    filled["OXCART_SIGNING_SECRET"] += "-signing"

    refused = {problem.variable for problem in examine(PROGRAMS["all"], given).problems}

    assert set(SECRETS) & refused
    assert () == examine(PROGRAMS["all"], filled).problems


def test_units_differ_in_what_they_run_alone() -> None:
    """What is said of one holds for the other: a mended line must be mended in both."""
    api, worker = (read(unit)["Service"] for unit in UNITS)

    assert {name for name in api.keys() | worker.keys() if api.get(name) != worker.get(name)} == {
        "ExecStart"
    }


def ours(service: dict[str, list[str]]) -> list[str]:
    """The lines of ``Environment=`` that are settings of oxcart."""
    return [line for line in service["Environment"] if line.startswith("OXCART_")]


def seconds(text: str) -> int:
    """A time span of one unit, in seconds."""
    match = re.fullmatch(r"(\d+)(s|min)", text)
    assert match is not None, text
    return int(match[1]) * _SECONDS[match[2]]


def read(unit: Path) -> dict[str, dict[str, list[str]]]:
    """The sections of a unit; a name that stands twice has both values."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in unit.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            name, separator, value = line.partition("=")
            assert separator, line
            section.setdefault(name, []).append(value)
    return sections
