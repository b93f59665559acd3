"""The built-in system on SQS: an API call becomes a message, the function a file and a mail."""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from tests.integration.cli.programs import environment, run
from tests.integration.http.running import (
    ADA,
    OPERATOR,
    acting_for,
    add_users,
    connected,
    make_settings,
)
from tests.integration.mail.faulty_server import FaultyServer
from tests.integration.serverless.aws import (
    AwsServer,
    Context,
    counts,
    dead_letters,
    drain,
    event_of,
    make_queue,
    poll,
    receive,
    show_again,
)
from tests.interop.live.waiting import wait_for

from oxcart import mail, serverless
from oxcart.database.ids import new_id
from oxcart.database.types import ExportStatus
from oxcart.errors import ConfigError
from oxcart.exports.records import ExportRecords
from oxcart.operations import get_all_queue_status
from oxcart.serverless.entry import BuiltIn, LambdaHandler
from oxcart.sqs import SqsAddress
from oxcart.system import System, open_system

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient


@dataclass(frozen=True, slots=True)
class Site:
    """The system whose API is called, and the function that runs its jobs."""

    system: System
    handler: LambdaHandler
    email: SqsAddress
    export: SqsAddress
    smtp: FaultyServer
    environ: dict[str, str]


@pytest.fixture
async def smtp() -> AsyncIterator[FaultyServer]:
    async with FaultyServer() as server:
        yield server


@pytest.fixture(params=[False, True], ids=["standard", "fifo"])
def is_fifo(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@asynccontextmanager
async def built_site(
    sqs: SQSClient, aws: AwsServer, folder: Path, smtp: FaultyServer, *, is_fifo: bool = False
) -> AsyncIterator[Site]:
    email_address, export_address = (
        make_queue(sqs, name, is_fifo=is_fifo) for name in ("email", "export")
    )
    addresses = (email_address, export_address)
    queues = tuple(f"{item.queue}={item.url}" for item in addresses)
    dead = tuple(f"{item.queue}={item.dead_letter_url}" for item in addresses)
    settings = make_settings(
        folder, broker="sqs", sqs_queues=queues, sqs_dead_letter_queues=dead,
        smtp_host=smtp.host, smtp_port=smtp.port,
    )  # fmt: skip
    environ = {
        **aws.environ,
        "OXCART_ENV": "test",
        "OXCART_BROKER": "sqs",
        "OXCART_SQS_QUEUES": ",".join(queues),
        "OXCART_SQS_DEAD_LETTER_QUEUES": ",".join(dead),
        "OXCART_DATA_DIR": str(folder),
        "DATABASE_URL": str(settings.database_url),
        "SMTP_HOST": smtp.host,
        "SMTP_PORT": str(smtp.port),
        "OXCART_SIGNING_SECRET": str(settings.signing_secret),
        "OXCART_API_URL": str(settings.api_url),
    }
    handler = LambdaHandler(BuiltIn(environ))
    async with open_system(settings) as system:
        await add_users(system.database)
        try:
            yield Site(system, handler, email_address, export_address, smtp, environ)
        finally:
            await asyncio.to_thread(handler.close)


@pytest.fixture
async def site(
    sqs: SQSClient, aws: AwsServer, tmp_path: Path, smtp: FaultyServer
) -> AsyncIterator[Site]:
    async with built_site(sqs, aws, tmp_path, smtp) as site:
        yield site


async def test_export_asked_for_over_http_is_written_by_the_function(
    sqs: SQSClient, aws: AwsServer, tmp_path: Path, smtp: FaultyServer, is_fifo: bool
) -> None:
    async with (
        built_site(sqs, aws, tmp_path, smtp, is_fifo=is_fifo) as site,
        connected(site.system, acting_for(ADA)) as ada,
    ):
        asked = (await ada.post("/api/exports", json={"type": "USER_DATA"})).json()["exportJob"]
        before = (await ada.get(f"/api/queues/status/{asked['id']}")).json()

        calls = await asyncio.to_thread(drain, sqs, site.export.url, site.handler)

        after = (await ada.get(f"/api/queues/status/{asked['id']}")).json()
        shown = (await ada.get(f"/api/exports/{asked['id']}")).json()["export"]
        file = await ada.get(shown["fileUrl"])
    assert asked["id"] == asked["jobId"]
    assert (1, "waiting", "completed") == (calls, before["state"], after["state"])
    assert "COMPLETED" == shown["status"]
    assert b"PK" == file.content[:2]
    assert (1, "USER_DATA", ADA) == (
        after["attemptsMade"],
        after["type"],
        after["data"]["userId"],
    )


async def test_mail_is_delivered_by_smtp(sqs: SQSClient, site: Site) -> None:
    delivery = await site.system.mailer.send_password_reset_email("ada@example.org", "s3cr3t")

    await asyncio.to_thread(drain, sqs, site.email.url, site.handler)

    (received,) = site.smtp.messages
    message = email.message_from_bytes(received.content, policy=email.policy.default)
    assert delivery.queued
    assert "ada@example.org" == received.recipient
    assert (delivery.message_id, "Reset your password") == (
        message["Message-ID"],
        message["Subject"],
    )


async def test_smtp_that_refuses_for_good_sends_the_job_to_the_dead_letters(
    sqs: SQSClient, site: Site
) -> None:
    site.smtp.fault("RCPT", "550 5.1.1 no such user")
    delivery = await site.system.mailer.send_welcome_email("nobody@example.org", "Nobody")

    await asyncio.to_thread(drain, sqs, site.email.url, site.handler)

    (dead,) = dead_letters(sqs, site.email)
    assert "no such user" in dead["OxcartReason"]
    assert ("email", "welcome", "1") == (
        dead["OxcartQueue"],
        dead["OxcartJobName"],
        dead["OxcartAttempts"],
    )
    assert delivery.job_id == dead["OxcartJobId"] == json.loads(dead["body"])["id"]
    assert [] == site.smtp.messages


async def test_smtp_that_is_busy_is_tried_again(sqs: SQSClient, site: Site) -> None:
    site.smtp.fault("RCPT", "450 4.2.0 come back later")
    await site.system.mailer.send_welcome_email("ada@example.org", "Ada")

    calls = await asyncio.to_thread(drain, sqs, site.email.url, site.handler)

    assert (2, 1) == (calls, len(site.smtp.messages))


async def test_job_of_an_export_that_is_gone_goes_to_the_dead_letters(
    sqs: SQSClient, site: Site
) -> None:
    async with connected(site.system, acting_for(ADA)) as ada:
        asked = (await ada.post("/api/exports", json={"type": "ANALYTICS"})).json()["exportJob"]
        await _delete_user(site.system)
        await asyncio.to_thread(drain, sqs, site.export.url, site.handler)

    assert "there is no export" in dead_letters(sqs, site.export)[0]["OxcartReason"]
    assert await ExportRecords(site.system.database).get(asked["id"]) is None


async def test_attempts_used_up_set_the_row_failed_and_not_before(
    sqs: SQSClient, site: Site, tmp_path: Path
) -> None:
    async with connected(site.system, acting_for(ADA)) as ada:
        asked = (await ada.post("/api/exports", json={"type": "ANALYTICS"})).json()["exportJob"]
    records = ExportRecords(site.system.database)
    _block_storage(tmp_path)
    statuses = []
    for _ in range(3):
        messages = receive(sqs, site.export.url)
        await asyncio.to_thread(site.handler, event_of(site.export.url, messages), Context.of())
        show_again(sqs, site.export.url, messages)
        record = await records.get(asked["id"])
        statuses.append(record and record.status)

    assert [ExportStatus.PROCESSING, ExportStatus.PROCESSING, ExportStatus.FAILED] == statuses
    (dead,) = dead_letters(sqs, site.export)
    assert "3" == dead["OxcartAttempts"]


async def test_duplicate_of_a_completed_export_is_harmless(sqs: SQSClient, site: Site) -> None:
    async with connected(site.system, acting_for(ADA)) as ada:
        asked = (await ada.post("/api/exports", json={"type": "ANALYTICS"})).json()["exportJob"]
    messages = receive(sqs, site.export.url)
    event = event_of(site.export.url, messages)

    first = await asyncio.to_thread(site.handler, event, Context.of())
    records = ExportRecords(site.system.database)
    written = await records.get(asked["id"])
    second = await asyncio.to_thread(site.handler, event, Context.of())

    assert first == second == {"batchItemFailures": []}
    assert written == await records.get(asked["id"])
    assert written is not None
    assert ExportStatus.COMPLETED is written.status


async def test_sqs_that_is_away_leaves_exports_to_the_outbox_and_sends_mails_at_once(
    sqs: SQSClient, site: Site
) -> None:
    for address in (site.email, site.export):
        sqs.delete_queue(QueueUrl=address.url)
    async with connected(site.system, acting_for(ADA)) as ada:
        answer = (await ada.post("/api/exports", json={"type": "ANALYTICS"})).json()
        health = (await ada.get("/api/health")).json()
    delivery = await site.system.mailer.send_welcome_email("ada@example.org", "Ada")

    assert "jobId" not in answer["exportJob"]
    assert "as soon as the queue is back" in answer["message"]
    assert ("degraded", "unhealthy") == (health["status"], health["checks"]["queues"]["status"])
    assert (False, 1) == (delivery.queued, len(site.smtp.messages))


async def test_health_counts_what_is_in_sqs(sqs: SQSClient, site: Site) -> None:
    assert site.email.dead_letter_url is not None
    for number in range(11):
        sqs.send_message(QueueUrl=site.email.dead_letter_url, MessageBody=str(number))

    async with connected(site.system, OPERATOR) as operator:
        health = await wait_for(
            lambda: operator.get("/api/health"),
            # On a busy machine SQS may not answer within the two seconds of a check.
            lambda answer: "no answer within 2 s" not in answer.text,
            within=30,
            what="SQS to answer in time",
        )

    assert {"status": "degraded", "error": "many failed jobs in: email"} == health.json()["checks"][
        "queues"
    ]


async def test_timer_has_lost_exports_queued_again(sqs: SQSClient, site: Site) -> None:
    async with connected(site.system, acting_for(ADA)) as ada:
        asked = (await ada.post("/api/exports", json={"type": "ANALYTICS"})).json()["exportJob"]
    sqs.purge_queue(QueueUrl=site.export.url)
    await _age_rows(site.system)
    orphan = site.system.settings.data_dir / "exports" / f"{new_id()}.json"
    orphan.parent.mkdir()
    orphan.touch()
    timer: dict[str, Any] = {"source": "aws.events", "detail-type": "Scheduled Event"}

    answers = [await asyncio.to_thread(site.handler, timer, Context.of()) for _ in range(3)]
    queued = counts(sqs, site.export.url)
    await asyncio.to_thread(drain, sqs, site.export.url, site.handler)

    record = await ExportRecords(site.system.database).get(asked["id"])
    assert [{}, {}, {}] == answers
    assert not orphan.exists(), "the timer removes files whose user was deleted"
    assert (1, 0, 0) == queued
    assert record is not None
    assert ExportStatus.COMPLETED is record.status


async def test_row_whose_job_may_be_in_the_queue_is_left_alone(sqs: SQSClient, site: Site) -> None:
    async with connected(site.system, acting_for(ADA)) as ada:
        await ada.post("/api/exports", json={"type": "ANALYTICS"})
    await _age_rows(site.system)

    await site.system.outbox.look()

    assert (1, 0, 0) == counts(sqs, site.export.url)


async def test_worker_and_burst_say_that_jobs_are_elsewhere(site: Site) -> None:
    with pytest.raises(ConfigError, match="jobs in SQS are run in Lambda"):
        site.system.worker()
    async with connected(site.system, OPERATOR) as operator:
        answer = await operator.post("/api/worker/burst")

    assert 400 == answer.status_code
    assert "jobs in SQS are run in Lambda" in answer.json()["error"]


async def test_handler_of_the_module_runs_by_the_environment(
    sqs: SQSClient, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in site.environ.items():
        monkeypatch.setenv(name, value)
    await site.system.mailer.send_welcome_email("ada@example.org", "Ada")

    answer = await asyncio.to_thread(poll, sqs, site.email.url, serverless.handler)
    await asyncio.to_thread(serverless.handler.close)

    assert ({"batchItemFailures": []}, 1) == (answer, len(site.smtp.messages))


async def test_functions_of_the_mail_module_send_to_sqs_too(
    sqs: SQSClient, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in site.environ.items():
        monkeypatch.setenv(name, value)
    mail.configure(None)

    delivery = await mail.send_welcome_email("ada@example.org", "Ada")
    status = await get_all_queue_status()
    await mail.aclose()
    await asyncio.to_thread(drain, sqs, site.email.url, site.handler)

    assert delivery.queued
    assert [("email", 1), ("export", 0)] == [
        (queue.name, queue.counts.waiting) for queue in status.queues
    ]
    assert 1 == len(site.smtp.messages)


def test_status_command_counts_what_is_in_sqs(
    sqs: SQSClient, aws: AwsServer, tmp_path: Path
) -> None:
    queues = [make_queue(sqs, name) for name in ("email", "export")]
    urls = ",".join(f"{item.queue}={item.url}" for item in queues)
    for _ in range(3):
        sqs.send_message(QueueUrl=queues[0].url, MessageBody="x")

    done = run(
        "status", "-o", "json",
        env=environment(tmp_path, **aws.environ, OXCART_BROKER="sqs", OXCART_SQS_QUEUES=urls),
    )  # fmt: skip

    assert 0 == done.returncode, done.stderr
    assert [3, 0] == [queue["waitingCount"] for queue in json.loads(done.stdout)["queues"]]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"OXCART_BROKER": "redis"}, "OXCART_BROKER is 'redis'"),
        ({"OXCART_SQS_QUEUES": ""}, "OXCART_SQS_QUEUES is not set"),
        ({"OXCART_SQS_DEAD_LETTER_QUEUES": ""}, "queue 'email' has no dead-letter queue"),
        ({"OXCART_SQS_QUEUES": "email=nowhere"}, "no URL of an SQS queue"),
    ],
)
async def test_function_with_wrong_settings_says_which(
    site: Site, changes: dict[str, str], words: str
) -> None:
    environ = site.environ | {"OXCART_SQS_DEAD_LETTER_QUEUES": ""} | changes
    if "OXCART_SQS_DEAD_LETTER_QUEUES" not in changes and "nowhere" not in str(changes):
        environ["OXCART_SQS_DEAD_LETTER_QUEUES"] = ""
    handler = LambdaHandler(BuiltIn(environ))

    with pytest.raises(ConfigError, match=words):
        await asyncio.to_thread(handler, {"Records": []}, Context.of())
    await asyncio.to_thread(handler.close)


async def test_status_of_a_foreign_export_is_not_shown(site: Site) -> None:
    async with connected(site.system, acting_for(ADA)) as ada:
        asked = (await ada.post("/api/exports", json={"type": "ANALYTICS"})).json()["exportJob"]
    async with connected(site.system, acting_for("user-bob")) as bob:
        answer = await bob.get(f"/api/queues/status/{asked['id']}")

    assert httpx2.codes.NOT_FOUND == answer.status_code


def _block_storage(folder: Path) -> None:
    """Make writing files impossible, and not for good."""
    (folder / "exports").mkdir(exist_ok=True)
    for entry in (folder / "exports").iterdir():
        entry.unlink()
    (folder / "exports").rmdir()
    (folder / "exports").write_text("in the way", encoding="utf-8")


async def _delete_user(system: System) -> None:
    from oxcart.database.tables import export_job, user

    async with system.database.write() as connection:
        await connection.execute(export_job.delete())
        await connection.execute(user.delete().where(user.c.id == ADA))


async def _age_rows(system: System) -> None:
    from datetime import UTC, datetime, timedelta

    from oxcart.database.tables import export_job

    async with system.database.write() as connection:
        old = datetime.now(UTC) - timedelta(minutes=20)
        await connection.execute(export_job.update().values(createdAt=old))
