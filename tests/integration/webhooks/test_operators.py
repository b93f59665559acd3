"""Operators see deliveries and send them again, by command and over HTTP."""

from __future__ import annotations

import json
from pathlib import Path

from tests.integration.cli.programs import environment, run
from tests.integration.http.running import ADA, OPERATOR, acting_for, connected
from tests.integration.webhooks.receiver import receiving
from tests.integration.webhooks.running import (
    SECRET,
    delivering,
    ended_export,
    opened,
    wait_for_state,
    webhook_settings,
    webhooks_of,
)

from oxcart.webhooks.signatures import SigningSecret

PATH = "/api/webhooks/deliveries"


async def test_failed_delivery_is_found_shown_and_sent_again(  # noqa: PLR0915  # one set-up
    tmp_path: Path, valkey_url: str, prefix: str
) -> None:
    async with receiving() as receiver:
        receiver.answer = "500 Oops\r\ncontent-length: 4"
        receiver.body = b"oops"
        settings = webhook_settings(
            tmp_path, receiver.url, redis_url=valkey_url, prefix=prefix, webhook_waits=("1ms",)
        )
        assert settings.database_url is not None
        env = environment(tmp_path, DATABASE_URL=settings.database_url)
        async with opened(settings) as system:
            async with delivering(system):
                await ended_export(system)
                await wait_for_state(system, "failed")
            (item,) = await webhooks_of(system).records.find()

            async with connected(system, OPERATOR) as operator:
                listed = (await operator.get(PATH, params={"state": "failed"})).json()
                none = (await operator.get(PATH, params={"endpoint": "other"})).json()
                shown = (await operator.get(f"{PATH}/{item.id}")).json()["delivery"]
                again = await operator.post(f"{PATH}/{item.id}/redeliver")
                missing = await operator.post(f"{PATH}/dlv_0/redeliver")
                wrong = await operator.get(PATH, params={"state": "lost"})
            async with connected(system, acting_for(ADA)) as user, connected(system) as anyone:
                refused = [await client.get(PATH) for client in (user, anyone)]
            receiver.answer = "204 No Content\r\ncontent-length: 0"
            receiver.body = b""
            async with delivering(system):
                await wait_for_state(system, "delivered")

            by_command = run("webhooks", "list", "--state", "delivered", "--json", env=env)
            table = run("webhooks", "list", env=env)
            one = run("webhooks", "show", item.id, env=env)
            document = run("webhooks", "show", item.id, "--json", env=env)
            sent = run("webhooks", "redeliver", item.id, env=env)
            failed = run("webhooks", "redeliver", "--failed", env=env)
            unknown = run("webhooks", "redeliver", "dlv_0", env=env)
            usage = run("webhooks", "redeliver", env=env)
            async with delivering(system):
                await wait_for_state(system, "delivered")

    assert [entry["id"] for entry in listed["deliveries"]] == [item.id]
    assert none["deliveries"] == []
    assert [entry["status"] for entry in shown["log"]] == [500, 500]
    assert shown["log"][0]["answer"] == "oops"
    assert (again.status_code, again.json()["delivery"]["state"]) == (200, "pending")
    assert (missing.status_code, wrong.status_code) == (404, 400)
    assert [answer.status_code for answer in refused] == [403, 401]

    assert [entry["id"] for entry in json.loads(by_command.stdout)] == [item.id]
    assert item.id in table.stdout
    assert "status 500" in one.stdout
    assert "attempt 3" in one.stdout
    assert json.loads(document.stdout)["message"]["type"] == "export.completed"
    assert "will be sent again" in sent.stdout
    assert (failed.returncode, failed.stdout) == (0, "")
    assert (unknown.returncode, usage.returncode) == (1, 2)
    for output in (by_command, table, one, document, sent):
        assert output.returncode == 0, output.stderr
        assert SECRET.reveal() not in output.stdout
    assert len(receiver.requests) == 4
    assert len(set(receiver.ids)) == 1


def test_secret_that_is_made_can_be_used(tmp_path: Path) -> None:
    made = run("webhooks", "secret", env=environment(tmp_path))

    assert SigningSecret.parse(made.stdout.strip()).reveal() == made.stdout.strip()
