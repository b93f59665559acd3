"""Requests made up from the OpenAPI document, by several callers, against the running API.

No answer may be a 5xx, none may differ from the document, and none to one user may hold an id of
another user's.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.integration.cli.programs import environment
from tests.integration.cli.programs import running as program_running
from tests.integration.http.running import (
    ADA,
    BOB,
    OPERATOR,
    OPERATOR_KEY,
    SERVICE_KEY,
    acting_for,
    add_users,
)
from tests.support import wait_until_sync

from oxcart.database import Database
from oxcart.database.schema import prepare_schema

EXAMPLES = 20
"""Of each operation, with valid and with invalid data."""
CALLERS: dict[str, dict[str, str]] = {
    "service": {"authorization": f"Bearer {SERVICE_KEY}"},
    "operator": OPERATOR,
    ADA: acting_for(ADA),
    BOB: acting_for(BOB),
    "nobody": {},
}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
WITHOUT_INPUT = ("/api/health", "/api/health/live")
ID_NAMES = ("exportId", "jobId")
CREATED = "exportJob"


@dataclass
class Api:
    """The running API, and the ids that belong to each user."""

    url: str
    own_ids: dict[str, set[str]] = field(
        default_factory=lambda: {user_id: {user_id} for user_id in (ADA, BOB)}
    )
    finished_ids: list[str] = field(default_factory=list)
    answered: Counter[tuple[str, int]] = field(default_factory=Counter)

    def note_created(self, caller: str, answer: bytes) -> None:
        """Remember whose export a request made."""
        if caller in self.own_ids and f'"{CREATED}":'.encode() in answer:
            self.own_ids[caller].add(json.loads(answer)[CREATED]["id"])

    def foreign_ids(self, caller: str) -> set[str]:
        """The ids that no answer to a caller may hold."""
        if caller == "operator":
            return set()
        return {one for owner, ids in self.own_ids.items() if owner != caller for one in ids}


@pytest.fixture
def api(valkey_url: str, prefix: str, tmp_path: Path) -> Iterator[Api]:
    """The command's own API on SQLite and Valkey, with a finished export of each user."""
    with running(valkey_url, prefix, tmp_path) as api:
        for user_id in (ADA, BOB):
            client = httpx2.Client(base_url=api.url, headers=CALLERS[user_id])
            with client:
                answer = client.post("/api/exports", json={"type": "USER_DATA"})
                api.note_created(user_id, answer.content)
                api.finished_ids.append(answer.json()[CREATED]["id"])
        burst = httpx2.post(f"{api.url}/api/worker/burst", headers=OPERATOR, timeout=30)
        assert burst.json()["completed"] == 2, burst.text
        yield api


@contextmanager
def running(redis_url: str, prefix: str, folder: Path) -> Iterator[Api]:
    database_url = f"sqlite:///{folder / 'club.db'}"
    asyncio.run(fill(database_url))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = environment(
        folder,
        OXCART_ENV="test",
        OXCART_API_PORT=str(port),
        OXCART_PREFIX=prefix,
        OXCART_OPERATOR_KEYS=OPERATOR_KEY,
        OXCART_SERVICE_KEYS=SERVICE_KEY,
        OXCART_EXPORTS_PER_HOUR="0",
        OXCART_UNFINISHED_EXPORTS="0",
        REDIS_URL=redis_url,
        DATABASE_URL=database_url,
    )
    api = Api(f"http://127.0.0.1:{port}")
    with program_running("api", env=env, folder=folder) as program:
        wait_until_sync(lambda: is_alive(api.url), within=30, what="the API answers")
        assert program.poll() is None
        yield api


async def fill(database_url: str) -> None:
    async with Database(database_url) as database:
        await prepare_schema(database, may_migrate=True)
        await add_users(database)


def is_alive(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/api/health/live").status_code == 200
    except httpx2.TransportError:
        return False


@pytest.mark.timeout(240)
def test_answers_to_made_up_requests_fit_the_document_and_tell_nothing_of_others(api: Api) -> None:
    schema = schemathesis.openapi.from_url(f"{api.url}/openapi.json")
    count = 0
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]  # our document has no errors
        count += 1
        try_operation(api, operation, GenerationMode.POSITIVE)
        if operation.path not in WITHOUT_INPUT:
            try_operation(api, operation, GenerationMode.NEGATIVE)
    assert count > 10
    assert all(api.answered[caller, 200] > 2 for caller in CALLERS), api.answered
    assert api.answered[ADA, 404] > 2, "no id of another user was asked for"


def try_operation(api: Api, operation: Any, mode: GenerationMode) -> None:
    cases = operation.as_strategy(generation_mode=mode)

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=cases,
        caller=st.sampled_from(sorted(CALLERS)),
        known=st.sampled_from([None, *api.finished_ids]),
    )
    def check(case: Any, caller: str, known: str | None) -> None:
        for name in ID_NAMES:
            if known is not None and name in (case.path_parameters or {}):
                case.path_parameters[name] = known
        # Only the caller's own header says for which user a key acts.
        for name in [name for name in case.headers if name.lower() == "x-oxcart-user"]:
            del case.headers[name]
        response = case.call(headers=CALLERS[caller], timeout=20)
        # The document describes a stream as a text, and schemathesis each of its events.
        is_stream = response.headers.get("content-type", [""])[0].startswith("text/event-stream")
        checks = [check for check in CHECKS if check is not response_schema_conformance]
        case.validate_response(response, checks=checks if is_stream else CHECKS)
        api.answered[caller, response.status_code] += 1
        api.note_created(caller, response.content)
        asked = response.request.url + str(response.request.body)
        told = response.content.decode("utf-8", "replace") + str(response.headers)
        leaked = {one for one in api.foreign_ids(caller) if one in told and one not in asked}
        assert leaked == set(), f"{response.request.method} {response.request.url}: {told[:500]}"

    check()
