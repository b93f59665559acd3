"""A job as the status route shows it."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest
from tests.unit.http.fakes import FakeApp, FakeQueue, FakeSystem, make_job

from oxcart.errors import StoreUnavailable
from oxcart.exports.reasons import FAILED, PUT_BACK
from oxcart.http.auth import Caller, Role
from oxcart.http.jobs import Jobs
from oxcart.http.live.access import Access
from oxcart.mail.breaker import CircuitBreaker

OPERATOR = Caller(role=Role.OPERATOR)


async def test_waiting_job_has_only_what_is_known(
    ada: httpx2.AsyncClient, system: FakeSystem
) -> None:
    system.app.put(make_job())

    response = await ada.get("/api/queues/status/export-ada")

    assert response.json() == {
        "id": "export-ada",
        "state": "waiting",
        "type": "USER_DATA",
        "createdAt": 1_700_000_000_000,
        "attemptsMade": 0,
        "progress": 0,
        "data": {"exportJobId": "export-ada", "userId": "user-ada", "type": "USER_DATA"},
    }


async def test_finished_job_has_times_and_result(
    ada: httpx2.AsyncClient, system: FakeSystem
) -> None:
    times = {"processed_at_ms": 5, "finished_at_ms": 6}
    reason = "only the roles ADMIN and STAFF may export MEMBERS"
    system.app.put(make_job(return_value="/file", failed_reason=reason, attempts_made=2, **times))

    shown = (await ada.get("/api/queues/status/export-ada")).json()

    assert (
        shown["processedOn"],
        shown["finishedOn"],
        shown["returnvalue"],
        shown["failedReason"],
        shown["attemptsMade"],
    ) == (5, 6, "/file", reason, 2)


async def test_user_sees_nothing_of_the_server_and_an_operator_all(
    ada: httpx2.AsyncClient, operator: httpx2.AsyncClient, system: FakeSystem
) -> None:
    refused = 'connection to server at "10.0.0.7", port 5432 failed: Connection refused'
    unknown = "no handler for job name 'USER_DATA' in this worker (it has: welcome)"
    progress = {"percent": 42, "rows": 420, "total": 1000, "phase": "writing"}
    system.app.put(make_job(failed_reason=refused, delay_reason=unknown, progress=progress))

    shown = (await ada.get("/api/queues/status/export-ada")).json()
    full = (await operator.get("/api/queues/status/export-ada")).json()

    assert (shown["failedReason"], shown["delayReason"]) == (FAILED, PUT_BACK)
    assert (full["failedReason"], full["delayReason"]) == (refused, unknown)
    for document in (shown, full):
        assert (document["progress"], document["progressDetails"]) == (42, progress)


async def test_secrets_are_hidden_wherever_the_job_repeats_them(
    operator: httpx2.AsyncClient, system: FakeSystem
) -> None:
    system.app.registry["email", "verification"] = SimpleNamespace(secrets=frozenset({"iban"}))
    data = {"toEmail": "ada@example.org", "metadata": {"token": "canary-1", "iban": "canary-2"}}
    system.app.put(
        make_job(
            id="7",
            queue="email",
            name="verification",
            data=data,
            progress={"sent": "canary-1"},
            return_value=["canary-2"],
            failed_reason="SMTP refused https://club.example/verify?token=canary-1",
        )
    )

    response = await operator.get("/api/queues/status/7")

    assert response.status_code == 200
    assert "canary" not in response.text
    assert "ada@example.org" in response.text


@pytest.mark.parametrize("data", [None, 5, "text", [], {}, {"userId": 5}, {"userId": ["user-ada"]}])
async def test_job_whose_owner_cannot_be_read_is_nobodys(
    ada: httpx2.AsyncClient, system: FakeSystem, data: Any
) -> None:
    system.app.put(make_job(data=data))

    assert (await ada.get("/api/queues/status/export-ada")).status_code == 404


async def test_what_another_program_stored_is_shown_whatever_it_is(
    operator: httpx2.AsyncClient, system: FakeSystem
) -> None:
    deep: Any = 1
    for _ in range(5_000):
        deep = {"a": deep}
    system.app.put(make_job(data={"half": "\ud800", "nul": "\0", "deep": deep}))

    response = await operator.get("/api/queues/status/export-ada")

    assert response.status_code == 200
    assert response.json()["data"]["nul"] == "\0"


async def test_redis_down_is_a_503_that_says_when_to_ask_again(
    operator: httpx2.AsyncClient, system: FakeSystem
) -> None:
    system.app.queues["email"] = FakeQueue(error=StoreUnavailable("redis://:hunter2@host"))

    response = await operator.get("/api/queues/status/7")

    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert "hunter2" not in response.text


async def test_only_one_caller_at_a_time_finds_out_that_redis_is_down() -> None:
    now = 0.0
    app = FakeApp()
    app.queues["email"] = queue = FakeQueue(error=StoreUnavailable("down"))
    jobs = Jobs(cast("Any", app), CircuitBreaker(timedelta(seconds=2), lambda: now))

    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await jobs.show(Access(caller=OPERATOR), "7")
    assert queue.asked == ["7"]

    now = 2.5
    queue.error = None
    app.put(make_job(id="7", queue="email"))
    assert (await jobs.show(Access(caller=OPERATOR), "7")).document["id"] == "7"
