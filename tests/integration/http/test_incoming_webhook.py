"""Signed webhooks to the API: verified, taken in once, and their URLs checked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from standardwebhooks.webhooks import Webhook
from tests.integration.http.running import (
    ADA,
    OPERATOR,
    acting_for,
    add_users,
    connected,
    make_settings,
)

from oxcart.system import System, open_system
from oxcart.webhooks.errors import MessageBusy
from oxcart.webhooks.received import TAKEN_OVER_AFTER, ReceivedMessages
from oxcart.webhooks.signatures import SigningSecret

OLD, NEW, OTHER = (SigningSecret.generate() for _ in range(3))
PATH = "/api/queues/webhook"
FILE = "https://files.example.org/a.csv"


@pytest.fixture
async def signed_system(valkey_url: str, prefix: str, tmp_path: Path) -> AsyncIterator[System]:
    settings = make_settings(
        tmp_path,
        redis_url=valkey_url,
        prefix=prefix,
        webhook_incoming_secrets=(OLD.reveal(), NEW.reveal()),
        webhook_file_hosts=("files.example.org",),
    )
    async with open_system(settings) as system:
        await add_users(system.database)
        yield system


@pytest.fixture
async def anyone(signed_system: System) -> AsyncIterator[httpx2.AsyncClient]:
    async with connected(signed_system) as client:
        yield client


async def ask(system: System) -> str:
    async with connected(system, acting_for(ADA)) as client:
        answer = await client.post("/api/exports", json={"type": "USER_DATA"})
        return str(answer.json()["exportJob"]["id"])


def event(export_id: str, **changes: Any) -> dict[str, Any]:
    given = {"event": "completed", "jobId": export_id, "queue": "export", "data": {}}
    return given | {"result": FILE} | changes


def signed(
    document: dict[str, Any],
    *,
    secret: SigningSecret = OLD,
    message_id: str = "msg_1",
    age: int = 0,
) -> dict[str, Any]:
    """A request that the public library signed."""
    body = json.dumps(document)
    at = datetime.now(UTC) - timedelta(seconds=age)
    return {
        "content": body,
        "headers": {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(secret.reveal()).sign(message_id, at, body),
        },
    }


async def shown(system: System, export_id: str) -> tuple[str, str | None]:
    record = await system.exports.get_export(export_id, None)
    return record.status.value, record.file_url


@pytest.mark.parametrize("secret", [OLD, NEW])
async def test_message_signed_with_any_secret_in_use_is_taken_in(
    anyone: httpx2.AsyncClient, signed_system: System, secret: SigningSecret
) -> None:
    export_id = await ask(signed_system)
    answer = await anyone.post(PATH, **signed(event(export_id), secret=secret))

    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert await shown(signed_system, export_id) == ("COMPLETED", FILE)


async def test_message_that_is_not_genuine_is_refused_and_logged(
    anyone: httpx2.AsyncClient, signed_system: System, caplog: pytest.LogCaptureFixture
) -> None:
    export_id = await ask(signed_system)
    good = signed(event(export_id))
    requests = [
        signed(event(export_id), secret=OTHER),
        signed(event(export_id), age=301),
        signed(event(export_id), age=-400),
        good | {"content": good["content"] + " "},
        good | {"headers": good["headers"] | {"webhook-id": "msg_2"}},
        good | {"headers": good["headers"] | {"webhook-signature": "v1"}},
        good | {"headers": good["headers"] | {"authorization": "Bearer wrong"}},
        {"json": event(export_id)},
    ]
    answers = [await anyone.post(PATH, **request) for request in requests]

    assert [answer.status_code for answer in answers] == [401] * len(requests)
    assert await shown(signed_system, export_id) == ("PENDING", None)
    assert caplog.messages.count("auth.signature_refused") == 6
    assert OLD.reveal() not in caplog.text


async def test_same_id_again_is_answered_and_changes_nothing(
    anyone: httpx2.AsyncClient, signed_system: System
) -> None:
    first, second = await ask(signed_system), await ask(signed_system)
    missing = await anyone.post(PATH, **signed(event("cnone"), message_id="msg_9"))
    answers = [
        await anyone.post(PATH, **signed(event(export_id), message_id=message_id))
        for export_id, message_id in [(first, "msg_1"), (second, "msg_1"), (second, "msg_9")]
    ]

    assert missing.status_code == 404
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert await shown(signed_system, first) == ("COMPLETED", FILE)
    # The second message had the first one's id; the third had that of one that failed.
    assert await shown(signed_system, second) == ("COMPLETED", FILE)


async def test_copies_at_the_same_time_act_once(
    anyone: httpx2.AsyncClient, signed_system: System
) -> None:
    export_id = await ask(signed_system)
    async with asyncio.TaskGroup() as tasks:
        runs = [tasks.create_task(anyone.post(PATH, **signed(event(export_id)))) for _ in range(8)]
    statuses = sorted(run.result().status_code for run in runs)

    assert statuses[0] == 200
    assert set(statuses) <= {200, 409}


async def test_keys_go_on_working_and_signatures_need_a_secret(
    signed_system: System, valkey_url: str, prefix: str, tmp_path: Path
) -> None:
    export_id = await ask(signed_system)
    async with connected(signed_system, OPERATOR) as operator:
        answer = await operator.post(PATH, json=event(export_id))
    plain = make_settings(tmp_path, redis_url=valkey_url, prefix=prefix)
    async with open_system(plain) as system, connected(system) as client:
        refused = await client.post(PATH, **signed(event(export_id)))

    assert answer.status_code == 200
    assert refused.status_code == 401


@pytest.mark.parametrize(
    "url",
    [
        "https://files.example.org/a\r\nx",
        "https://files.example.org/\u202efdp.exe",
        "https://files.example.org/\u200b",
        "https://files.example.org/" + "a" * 2_048,
        "https://files.example.org/a b",
        'https://files.example.org/"><script>',
        "https://user:password@files.example.org/",
        "https://files.example.org@evil.example/",
        "https://evil.example/a.csv",
        "https:///a.csv",
        "https://files.example.org:99999/",
        "HTTPS://files.example.org\\@evil.example/",
    ],
)
async def test_url_that_must_not_be_shown_is_refused(
    anyone: httpx2.AsyncClient, signed_system: System, url: str
) -> None:
    export_id = await ask(signed_system)
    answer = await anyone.post(PATH, **signed(event(export_id, result=url)))

    assert answer.status_code == 400
    assert "evil" not in answer.text
    assert await shown(signed_system, export_id) == ("PENDING", None)


async def test_message_of_a_process_that_died_is_taken_over(signed_system: System) -> None:
    time_now = datetime.now(UTC)
    messages = ReceivedMessages(signed_system.database, now=lambda: time_now)
    late = ReceivedMessages(
        signed_system.database, now=lambda: time_now + TAKEN_OVER_AFTER + timedelta(seconds=1)
    )
    claimed = messages.once("msg_1")
    assert await claimed.__aenter__()
    with pytest.raises(MessageBusy):
        await messages.once("msg_1").__aenter__()
    async with late.once("msg_1") as is_new:
        assert is_new
    async with late.once("msg_1") as is_new:
        assert not is_new
