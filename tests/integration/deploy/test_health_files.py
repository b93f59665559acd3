"""What tells from outside whether a program is alive: its file, and who looks at that."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.deploy.dockerfile import ROOT
from tests.integration.deploy.test_kubernetes import overlay, pod

from oxcart.cli.pulse import BeatFile, pulsing
from oxcart.errors import ConfigError
from oxcart.settings import Settings

HEALTHCHECK = ROOT / "deploy" / "healthcheck.py"


def look(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the container's health check."""
    return subprocess.run(
        [sys.executable, "-I", HEALTHCHECK],
        env={"OXCART_HEALTH_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def beat(folder: Path, name: str, content: str = "", *, age_s: float = 0) -> None:
    """Leave the file of a program that last beat some time ago."""
    path = folder / f"{name}.beat"
    path.write_text(content)
    then = time.time() - age_s
    os.utime(path, (then, then))


@pytest.fixture
def answering(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an API whose health report has the given status code."""
    code = request.param

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code)
            self.end_headers()
            self.wfile.write(b'{"status": "unhealthy"}' if code != 200 else b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_nothing_that_runs_is_not_healthy(tmp_path: Path) -> None:
    done = look(tmp_path)

    assert 1 == done.returncode
    assert "no program has said" in done.stdout


def test_worker_is_healthy_while_it_beats(tmp_path: Path) -> None:
    beat(tmp_path, "worker", age_s=30)
    fresh = look(tmp_path)
    beat(tmp_path, "worker", age_s=90)
    old = look(tmp_path)

    assert (0, "healthy") == (fresh.returncode, fresh.stdout.strip())
    assert (1, "worker was last alive 90 s ago") == (old.returncode, old.stdout.strip())


def test_both_together_are_healthy_only_when_both_run(tmp_path: Path) -> None:
    beat(tmp_path, "all")
    beat(tmp_path, "worker")

    done = look(tmp_path)

    assert (1, "api has not said that it runs") == (done.returncode, done.stdout.strip())


@pytest.mark.parametrize("answering", [200], indirect=True)
def test_api_is_asked_for_its_health(tmp_path: Path, answering: str) -> None:
    beat(tmp_path, "api", answering)

    assert 0 == look(tmp_path).returncode


@pytest.mark.parametrize("answering", [503], indirect=True)
def test_api_that_says_that_it_is_unwell_is_not_healthy(tmp_path: Path, answering: str) -> None:
    beat(tmp_path, "api", answering)

    done = look(tmp_path)

    assert 1 == done.returncode
    assert "unhealthy" in done.stdout


def test_api_that_does_not_answer_is_not_healthy(tmp_path: Path) -> None:
    beat(tmp_path, "api", "http://127.0.0.1:1")

    done = look(tmp_path)

    assert 1 == done.returncode
    assert "does not answer" in done.stdout


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe"])
def test_probe_of_the_worker_pod_sees_whether_it_beats(tmp_path: Path, probe: str) -> None:
    """The command of the manifest itself, looking into a folder of the test's."""
    command = pod(overlay("production"), "worker")["containers"][0][probe]["exec"]["command"]
    here = [word.replace("/tmp/oxcart", str(tmp_path)) for word in command]  # noqa: S108

    missing = subprocess.run(here, check=False, capture_output=True).returncode
    beat(tmp_path, "worker", age_s=30)
    fresh = subprocess.run(here, check=False).returncode
    beat(tmp_path, "worker", age_s=90)
    old = subprocess.run(here, check=False).returncode

    assert (1, 0, 1) == (missing, fresh, old)


async def test_file_is_there_from_ready_to_the_end(tmp_path: Path) -> None:
    beat(tmp_path, "worker", age_s=90)
    path = tmp_path / "worker.beat"

    async with pulsing("worker", Settings(health_dir=tmp_path)) as pulse:
        starting = path.exists()
        pulse.ready("serving jobs")
        running = path.exists()
        pulse.stopping("letting jobs finish")
        draining = path.exists()

    assert [False, True, True, False] == [starting, running, draining, path.exists()]


def test_file_that_somebody_removed_comes_back(tmp_path: Path) -> None:
    file = BeatFile(tmp_path, "api")
    file.beat("http://127.0.0.1:8400")
    (tmp_path / "api.beat").unlink()

    file.beat("http://127.0.0.1:8400")

    assert "http://127.0.0.1:8400" == (tmp_path / "api.beat").read_text()


def test_folder_that_cannot_be_used_is_refused_by_its_variable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match="OXCART_HEALTH_DIR"):
        BeatFile(tmp_path / "file" / "health", "worker")
