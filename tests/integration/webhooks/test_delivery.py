"""Deliveries, end to end: real receiver, real Valkey, both databases."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from standardwebhooks.webhooks import WebhookVerificationError
from tests.integration.http.running import ADA, working
from tests.integration.webhooks.receiver import Receiver, receiving
from tests.integration.webhooks.running import (
    SECRET,
    delivering,
    ended_export,
    eventually,
    message_count,
    opened,
    verified,
    wait_for_state,
    webhook_settings,
    webhooks_of,
)
from tests.support import ValkeyServer, wait_until

from oxcart.database import ExportStatus, Users
from oxcart.settings import Settings
from oxcart.webhooks import DeliveryNotFound, DeliveryState, tables
from oxcart.webhooks.relay import Relay
from oxcart.webhooks.signatures import SigningSecret

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def settings(tmp_path: Path, database_url: str, valkey_url: str, prefix: str) -> Settings:
    return webhook_settings(
        tmp_path,
        "http://127.0.0.1:9/none",
        database_url=database_url,
        redis_url=valkey_url,
        prefix=prefix,
    )


@pytest.fixture
def sqlite_settings(tmp_path: Path, valkey_url: str, prefix: str) -> Settings:
    """For what does not depend on the database."""
    return webhook_settings(
        tmp_path, "http://127.0.0.1:9/none", redis_url=valkey_url, prefix=prefix
    )


def sent_to(settings: Settings, receiver: Receiver, **changes: object) -> Settings:
    values = {name: getattr(settings, name) for name in settings.__struct_fields__}
    return Settings(**(values | {"webhook_endpoints": (f"site={receiver.url}",)} | changes))


@contextmanager
def started(
    program: str, settings: Settings, receiver: Receiver
) -> Iterator[subprocess.Popen[str]]:
    """Run a program until it has said its word, and kill it at the end."""
    command = [
        sys.executable, "-m", "tests.integration.webhooks.programs", program,
        str(settings.data_dir), str(settings.database_url), receiver.url,
        str(settings.redis_url), settings.prefix, SECRET.reveal(),
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


async def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return await asyncio.to_thread(process.stdout.readline)


async def test_export_that_ends_is_reported_and_the_attempt_is_logged(settings: Settings) -> None:
    async with receiving() as receiver:
        receiver.answer = "200 OK\r\ncontent-length: 6"
        receiver.body = b"thanks"
        async with opened(sent_to(settings, receiver)) as system, working(system):
            user = await Users(system.database).get(ADA)
            assert user is not None
            requested = await system.exports.request_export(user, "USER_DATA")
            await wait_until(lambda: receiver.requests, within=20, what="the message")
            await wait_for_state(system, "delivered")
            record = await system.exports.get_export(requested.record.id, None)
            (found,) = await webhooks_of(system).records.find(state=DeliveryState.DELIVERED)
            delivery = await webhooks_of(system).records.get(found.id, with_log=True)

    (request,) = receiver.requests
    message = verified(request)
    assert record.status is ExportStatus.COMPLETED
    assert (message["type"], message["data"]["id"]) == ("export.completed", record.id)
    assert message["data"] == {
        "id": record.id,
        "jobId": record.id,
        "queue": "export",
        "type": "USER_DATA",
        "userId": ADA,
        "status": "COMPLETED",
        "createdAt": record.created_at.isoformat(timespec="milliseconds")[:-6] + "Z",
        "completedAt": message["timestamp"],
        "fileUrl": record.file_url,
        "rows": record.rows,
        "bytes": record.size_bytes,
        "sha256": record.sha256,
    }
    assert delivery is not None
    assert delivery.message_id == request.headers["webhook-id"]
    (attempt,) = delivery.log
    assert (attempt.number, attempt.status, attempt.answer) == (1, 200, "thanks")
    assert attempt.error is None
    assert delivery.ended_at is not None


async def test_message_is_written_with_the_row_or_not_at_all(settings: Settings) -> None:
    async with opened(settings) as system:
        await ended_export(system, is_completed=False)
        assert await message_count(system) == 1
        (found,) = await webhooks_of(system).records.find()
        assert (found.type, found.state) == ("export.failed", DeliveryState.PENDING)
        assert '"error":"no room"' in found.body

        async with system.database.write() as connection:
            await connection.run_sync(tables.attempt.drop)
            await connection.run_sync(tables.delivery.drop)
        with pytest.raises(Exception, match="oxcart_webhook_delivery"):
            await ended_export(system)

        assert await message_count(system) == 1
        (still_open, _) = sorted(
            (await system.exports.list_exports(ADA)).records, key=lambda row: row.status.value
        )[::-1]
        assert still_open.status is ExportStatus.PENDING


async def test_event_that_no_endpoint_wants_is_not_written(sqlite_settings: Settings) -> None:
    changed = {"webhook_events": ("site=export.failed",)}
    async with (
        receiving() as receiver,
        opened(sent_to(sqlite_settings, receiver, **changed)) as system,
    ):
        await ended_export(system)

        assert await message_count(system) == 0


async def test_receiver_that_was_away_gets_the_same_message_later(settings: Settings) -> None:
    async with receiving() as receiver:
        receiver.answers = [
            "500 Oops\r\ncontent-length: 0",
            "302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0",
        ]
        async with opened(sent_to(settings, receiver)) as system, delivering(system):
            await ended_export(system)
            await wait_for_state(system, "delivered")
            (found,) = await webhooks_of(system).records.find()
            delivery = await webhooks_of(system).records.get(found.id, with_log=True)

    assert len(receiver.requests) == 3
    assert len(set(receiver.ids)) == 1
    assert len({request.body for request in receiver.requests}) == 1
    for request in receiver.requests:
        verified(request)
    assert delivery is not None
    assert [entry.status for entry in delivery.log] == [500, 302, 204]
    assert (delivery.attempts, delivery.error) == (3, None)


async def test_delivery_that_failed_is_sent_again_by_hand_with_the_same_id(
    sqlite_settings: Settings,
) -> None:
    async with receiving() as receiver:
        receiver.answer = "503 Busy\r\ncontent-length: 0"
        async with opened(sent_to(sqlite_settings, receiver)) as system, delivering(system):
            await ended_export(system)
            await wait_for_state(system, "failed")
            records = webhooks_of(system).records
            (failed,) = await records.find()
            receiver.answer = "204 No Content\r\ncontent-length: 0"
            again = await records.redeliver(failed.id)
            await wait_for_state(system, "delivered")
            delivery = await records.get(failed.id, with_log=True)
            with pytest.raises(DeliveryNotFound, match="'none'"):
                await records.redeliver("none")

    assert failed.error == "the receiver answered with status 503"
    assert (failed.attempts, again.attempts, again.round) == (3, 0, 2)
    assert len(set(receiver.ids)) == 1
    assert delivery is not None
    assert [entry.status for entry in delivery.log] == [503, 503, 503, 204]


async def test_receiver_that_is_gone_gets_no_further_attempt(
    sqlite_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with receiving() as receiver:
        receiver.answer = "410 Gone\r\ncontent-length: 0"
        async with opened(sent_to(sqlite_settings, receiver)) as system, delivering(system):
            await ended_export(system)
            await wait_for_state(system, "stopped")

    assert len(receiver.requests) == 1
    assert "webhook.endpoint_gone" in caplog.messages


async def test_secret_is_rotated_without_a_message_that_cannot_be_verified(
    sqlite_settings: Settings,
) -> None:
    new = SigningSecret.generate()
    async with receiving() as receiver:
        both = (f"site={SECRET.reveal()}", f"site={new.reveal()}")
        changed = sent_to(sqlite_settings, receiver, webhook_secrets=both)
        async with opened(changed) as system, delivering(system):
            await ended_export(system)
            await wait_for_state(system, "delivered")
        changed = sent_to(sqlite_settings, receiver, webhook_secrets=both[1:])
        async with opened(changed, is_new=False) as system, delivering(system):
            await ended_export(system)
            await wait_for_state(system, "delivered")

    first, second = receiver.requests
    assert verified(first, SECRET) == verified(first, new)
    assert verified(second, new)
    with pytest.raises(WebhookVerificationError):
        verified(second, SECRET)


async def test_process_killed_between_commit_and_send_loses_no_message(settings: Settings) -> None:
    async with receiving() as receiver:
        changed = sent_to(settings, receiver)
        async with opened(changed):
            pass
        with started("commit_and_hang", changed, receiver) as process:
            assert await first_line(process) == "committed\n"
            process.kill()
        assert receiver.requests == []

        async with opened(changed, is_new=False) as system, delivering(system):
            await wait_for_state(system, "delivered")

    (request,) = receiver.requests
    assert verified(request)["type"] == "export.completed"


async def test_worker_killed_while_it_sends_has_the_message_sent_again(
    sqlite_settings: Settings,
) -> None:
    async with receiving() as receiver:
        receiver.answers = ["silence"]
        changed = sent_to(sqlite_settings, receiver)
        async with opened(changed) as system:
            await ended_export(system)
            with started("deliver", changed, receiver) as process:
                await wait_until(lambda: receiver.requests, within=30, what="the first attempt")
                process.kill()
            with started("deliver", changed, receiver):
                await wait_for_state(system, "delivered")

    assert len(receiver.requests) == 2
    assert len(set(receiver.ids)) == 1


async def test_message_waits_for_redis_and_survives_its_loss(
    tmp_path: Path, own_valkey: ValkeyServer, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "oxcart.webhooks")
    async with receiving() as receiver:
        receiver.answers = ["500 Oops\r\ncontent-length: 0"]
        changed = webhook_settings(
            tmp_path,
            receiver.url,
            redis_url=own_valkey.url,
            prefix=prefix,
            webhook_waits=("1h",),
        )
        async with opened(changed) as system:
            webhooks = webhooks_of(system)
            own_valkey.kill()
            await ended_export(system)
            async with delivering(system):
                await wait_until(
                    lambda: "webhook.relay_interrupted" in caplog.messages, within=20, what="a line"
                )
                assert (await webhooks.records.find())[0].state is DeliveryState.PENDING
                own_valkey.start()
                await wait_until(lambda: receiver.requests, within=30, what="the first attempt")
                await eventually(lambda: tried(system), what="the attempt to be logged")
            assert "webhook.relay_resumed" in caplog.messages

            # The retry waits for an hour in Redis; then Redis loses everything.
            own_valkey.command("FLUSHALL")
            late = Relay(webhooks.jobs, webhooks.records, overdue_after=-timedelta(hours=2))
            assert await late.recover() == 1
            async with delivering(system):
                await wait_for_state(system, "delivered")

    assert len(receiver.requests) == 2
    assert len(set(receiver.ids)) == 1


async def test_lost_job_behind_many_that_wait_is_found(sqlite_settings: Settings) -> None:
    async with opened(sqlite_settings) as system:
        webhooks = webhooks_of(system)
        for _ in range(3):
            await ended_export(system)
        assert await webhooks.relay.look() == 3
        last = sorted(await webhooks.records.find(), key=lambda item: (item.due_at, item.id))[-1]
        job = await webhooks.jobs.queue.get_job(last.job_id)
        assert job is not None
        await job.remove()

        late = Relay(webhooks.jobs, webhooks.records, overdue_after=-timedelta(minutes=1), batch=1)
        assert [await late.recover() for _ in range(4)] == [0, 0, 1, 0]
        again = await webhooks.records.get(last.id)
        assert again is not None
        assert (again.state, again.round) == (DeliveryState.PENDING, 2)


async def tried(system: object) -> bool:
    (found,) = await webhooks_of(system).records.find()  # type: ignore[arg-type]
    return found.attempts == 1


async def test_deliveries_that_ended_long_ago_are_pruned(settings: Settings) -> None:
    async with receiving() as receiver:
        changed = sent_to(settings, receiver)
        async with opened(changed) as system:
            async with delivering(system):
                await ended_export(system)
                await wait_for_state(system, "delivered")
            records = webhooks_of(system).records
            await ended_export(system)
            now = datetime.now(UTC)

            assert await records.prune(before=now - timedelta(hours=1), limit=10) == 0
            assert await records.prune(before=now + timedelta(seconds=1), limit=10) == 1
            (left,) = await records.find()
            assert left.state is DeliveryState.PENDING
            assert await message_count(system) == 1
