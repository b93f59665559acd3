"""Payloads may hold secrets, such as reset codes: what holds one does not show it."""

from __future__ import annotations

from typing import Any

import pytest

from oxcart import (
    Dependencies,
    FailedJob,
    Flow,
    FlowNode,
    JobOptions,
    JobRecord,
    JobSpec,
    QueueEvent,
    SchedulerInfo,
)
from oxcart.mail.payloads import password_reset, verification

CODE = "reset-4711"
DATA: dict[str, Any] = {"metadata": {"resetCode": CODE}}
NODE = FlowNode("mail", "email", DATA)


@pytest.mark.parametrize(
    "value",
    [
        JobSpec(name="mail", data=DATA),
        NODE,
        FlowNode("parent", "email", children=[NODE]),
        Flow(NODE),
        SchedulerInfo(id="mail", name="mail", next_at_ms=0, data=DATA),
        JobRecord(
            id="mail", name="mail", data=DATA, options=JobOptions(), progress=DATA,
            return_value=DATA, stacktrace=(f"ValueError: {CODE}",),
        ),
        QueueEvent(id="0-1", name="completed", job_id="mail", data={"returnvalue": DATA}),
        Dependencies(
            processed={"bull:mail:1": DATA}, unprocessed=("bull:mail:2",), ignored={}, failed=()
        ),
        FailedJob(
            id="mail", name="mail", queue="q", data=DATA, reason="no", error=ValueError(CODE)
        ),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_payload_is_not_in_the_repr_and_what_names_the_value_is(value: object) -> None:
    assert CODE not in repr(value)
    assert CODE not in f"{[value]}"
    assert "mail" in repr(value)


@pytest.mark.parametrize(
    "payload",
    [
        password_reset("ann@example.org", reset_code=CODE),
        verification("ann@example.org", name="Ann", token=CODE),
    ],
    ids=["reset", "verification"],
)
def test_mails_and_their_metadata_show_neither_code_nor_address(payload: Any) -> None:
    from rich.pretty import pretty_repr

    for shown in (repr(payload), repr(payload.metadata), pretty_repr(payload)):
        assert CODE not in shown
        assert "ann@" not in shown
