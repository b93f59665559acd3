"""Tickets of users who have lost their access since."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.http.fakes import ADA, FakeUsers

from oxcart.http.live.access import Tickets
from oxcart.http.live.tickets import TicketSigner
from oxcart.http.problems import Kind, ProblemError


@pytest.mark.parametrize(
    "users",
    [
        FakeUsers(known=()),
        FakeUsers(known=(replace(ADA, suspended_until=datetime.now(UTC) + timedelta(hours=1)),)),
    ],
    ids=["erased", "suspended"],
)
async def test_ticket_of_a_user_without_access_is_refused(users: FakeUsers) -> None:
    signer = TicketSigner([b"a-secret"], lifetime=timedelta(minutes=1))
    ticket, _ = Tickets(signer, FakeUsers()).issue(ADA.id, queue="export", job_id="1")
    assert ADA == (await Tickets(signer, FakeUsers()).accept(ticket)).caller.user

    with pytest.raises(ProblemError) as caught:
        await Tickets(signer, users).accept(ticket)

    assert Kind.TICKET_INVALID is caught.value.problem.kind
