"""A user sees why an export failed where it is about the request, and nothing of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oxcart.database.users import User
from oxcart.exports.datasets import dataset_of
from oxcart.exports.errors import ExportError, StorageFull
from oxcart.exports.reasons import CANCELLED, FAILED, reason_for_user

if TYPE_CHECKING:
    from oxcart import JsonValue

STUDENT = User(id="user_1", email="ada@example.org", name="Ada", role="STUDENT")
STAFF = User(id="user_2", email="bob@example.org", name="Bob", role="STAFF")


@pytest.mark.parametrize(
    ("user", "type_", "filters"),
    [
        (STAFF, "EVERYTHING", {}),
        (STAFF, "it's", {}),
        (STAFF, "x" * 5_000, {}),
        (STUDENT, "MEMBERS", {}),
        (STUDENT, "WIKI_PAGES", {"published": False}),
        (STAFF, "MEMBERS", {"password": "x"}),
        (STAFF, "MEMBERS", {"role": "KING"}),
        (STAFF, "MEMBERS", {"powerScore": None}),
        (STAFF, "MEMBERS", {"powerScore": 10**12}),
        (STAFF, "MEMBERS", {"name": "x" * 501}),
        (STAFF, "MEMBERS", {"name": "\0"}),
        (STAFF, "MEMBERS", {"email": 5}),
        (STAFF, "WIKI_PAGES", {"published": "yes"}),
    ],
)
def test_what_is_wrong_with_the_request_is_shown(
    user: User, type_: str, filters: dict[str, JsonValue]
) -> None:
    with pytest.raises(ExportError) as refused:
        dataset_of(type_).check(user, filters)

    assert reason_for_user(str(refused.value)) == str(refused.value)


@pytest.mark.parametrize(
    "reason",
    [
        "[Errno 17] File exists: '/srv/exports'",
        'connection to server at "127.0.0.1", port 7141 failed: Connection refused',
        "the database went away: server closed the connection unexpectedly",
        str(StorageFull("no room left for the export in /srv/exports: No space left on device")),
        'relation "User" does not exist',
        "timed out after 7200000 ms",
        "job stalled more than allowable limit",
        "no handler for job name 'MEMBERS' in this worker (it has: welcome)",
        "only the roles ADMIN and STAFF may export MEMBERS\nat /srv/app/worker.py",
        "cannot read /etc/passwd; 'name' must be a text",
        "",
    ],
)
def test_what_is_wrong_with_the_server_is_not(reason: str) -> None:
    assert reason_for_user(reason) == FAILED


def test_cancelled_job_says_so() -> None:
    assert reason_for_user("cancelled") == CANCELLED
