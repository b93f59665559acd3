"""The reference names every option and call that there is, and none that is not."""

from __future__ import annotations

import dataclasses
import inspect
import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pytest
from tests.docs.pages import ROOT
from tests.docs.tables import Table, tables_of

import oxcart
from oxcart import JobOptions, Retention, errors, sync
from oxcart._engine.queue_worker import WorkerOptions
from oxcart._wire import fields
from oxcart._wire.codes import Code, error_of
from oxcart._wire.options_codec import encode_options
from oxcart._wire.schedule_codec import definition_fields

PAGE = ROOT / "docs" / "reference" / "bullmq-options.md"
TABLES = tables_of(PAGE)
NOT_FOR_USERS = {"source", "result_type", "of"}
FIXED = {"block_s": "drainDelay"}
"""Options of the worker inside that nobody can set, with BullMQ's name."""
SAMPLES: dict[str, list[Any]] = {
    "job_id": ["car-7"],
    "delay": ["5s"],
    "priority": [3],
    "lifo": [True],
    "attempts": [4],
    "backoff": [oxcart.fixed("1s")],
    "keep_completed": [Retention(count=7)],
    "keep_failed": [Retention.NONE],
    "timestamp": [datetime(2026, 1, 1, tzinfo=UTC)],
    "stacktrace_limit": [5],
    "size_limit": [100],
    "log_limit": [10],
    "parent": [oxcart.ParentRef(queue="q", id="p")],
    "parent_on_failure": ["fail", "continue", "ignore", "remove"],
    "deduplication": ["same"],
    "expires": ["1h", datetime(2026, 1, 1, tzinfo=UTC)],
    "telemetry_metadata": ["trace"],
    "omit_telemetry_context": [True],
}


def names_in(*headings: str) -> list[str]:
    """The first column's names of all tables below these headings."""
    return [name for table in TABLES if table.heading in headings for name in table.names()]


def table(heading: str, number: int = 0) -> Table:
    return [table for table in TABLES if table.heading == heading][number]


def fields_of(kind: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)} - NOT_FOR_USERS


def parameters_of(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters) - {"self"}


def members_of(kind: type) -> set[str]:
    own = {name for name in dir(kind) if not name.startswith("_")}
    fields = fields_of(kind) if dataclasses.is_dataclass(kind) else set()
    return own - fields - NOT_FOR_USERS


def test_samples_are_of_all_options() -> None:
    assert SAMPLES.keys() == fields_of(JobOptions)


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("Job options", oxcart.JobOptions),
        ("Backoff", oxcart.Backoff),
        ("Retention", oxcart.Retention),
        ("Parent", oxcart.ParentRef),
        ("Deduplication", oxcart.Deduplication),
        ("Rate limit", oxcart.RateLimit),
        ("Schedule", oxcart.Schedule),
        ("Fields", oxcart.Job),
    ],
)
def test_reference_has_exactly_the_fields(heading: str, kind: type) -> None:
    assert sorted(fields_of(kind)) == sorted(names_in(heading))


def test_reference_has_exactly_the_options_of_a_worker() -> None:
    named = set(table("Worker").names())

    assert parameters_of(oxcart.Worker) == named
    assert parameters_of(oxcart.App.worker) - named == {"queues"}
    inside = {name.removesuffix("_ms") for name in fields_of(WorkerOptions) - FIXED.keys()}
    assert inside - named == set()
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in FIXED.values() if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    ("headings", "kind"),
    [
        (("Adding", "Reading", "Changing a job", "Changing the queue"), oxcart.Queue),
        (("Calls",), oxcart.Job),
        (("What the application does",), oxcart.App),
    ],
)
def test_reference_has_exactly_the_calls(headings: tuple[str, ...], kind: type) -> None:
    assert sorted(members_of(kind)) == sorted(names_in(*headings))


def test_reference_has_exactly_the_rest_of_the_calls() -> None:
    assert members_of(oxcart.Worker) == set(table("Worker", 1).names())
    assert members_of(oxcart.FlowProducer) == set(table("Flows").names())
    assert fields_of(oxcart.FlowNode) == set(table("Flows", 1).names())
    assert members_of(oxcart.JobContext) == set(table("In a handler").names())
    assert parameters_of(oxcart.App.job) == set(table("Declaring a job").names())
    assert parameters_of(oxcart.App) == set(table("Application").names())
    declared = {"enqueue", "enqueue_sync", "schedule", "options", "spec"}
    assert declared <= members_of(oxcart.JobDefinition)
    assert declared == set(table("A declared job").names())


def test_blocking_twin_has_the_same_calls() -> None:
    assert members_of(sync.Queue) - {"close"} == members_of(oxcart.Queue) - {"aclose"}


def test_options_are_written_by_the_names_that_the_reference_says() -> None:
    wire = table("Job options").by_name(1)
    for option, values in SAMPLES.items():
        written: set[str] = set()
        for value in values:
            text = encode_options(JobOptions(**{option: value}), prefix="bull")
            written |= json.loads(text).keys()
        assert set(wire[option]) == written - ({"attempts"} - {option}), option


@pytest.mark.parametrize(
    ("heading", "member", "options"),
    [
        ("Backoff", "backoff", {"backoff": oxcart.exponential("1s", jitter=0.5)}),
        ("Retention", "removeOnFail", {"keep_failed": Retention(count=1, age="1h", limit=5)}),
        ("Parent", "parent", {"parent": oxcart.ParentRef(queue="q", id="p")}),
        (
            "Deduplication",
            "de",
            {
                "deduplication": oxcart.Deduplication(
                    id="x",
                    ttl="1s",
                    extend=True,
                    replace=True,
                    reschedule=True,
                    keep_last_if_active=True,
                )
            },
        ),
    ],
)
def test_members_are_written_by_the_names_that_the_reference_says(
    heading: str, member: str, options: dict[str, Any]
) -> None:
    written = json.loads(encode_options(JobOptions(**options), prefix="bull"))[member]

    assert set(table(heading).names(1)) == written.keys()


def test_schedules_are_written_by_the_names_that_the_reference_says() -> None:
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    every = oxcart.Schedule.every("1h", start=start, end=end, limit=5)
    cron = oxcart.Schedule.cron("@daily", tz="Europe/Madrid")

    written = definition_fields(every).keys() | definition_fields(cron).keys()

    assert set(table("Schedule").names(1)) == written | {"offset"}


def test_fields_of_a_job_stand_where_the_reference_says() -> None:
    known = {value.decode() for value in vars(fields).values() if isinstance(value, bytes)}

    assert set(table("Fields").names(1)) == known - {"attemptsMade"}


def test_events_and_states_are_all_there() -> None:
    states = table("States")

    assert [str(name) for name in oxcart.EventName] == table("Events").names()
    assert {str(state): [state.name] for state in oxcart.JobState} == {
        row[2].strip("`"): [row[0].strip("`")] for row in states.rows
    }
    assert issubclass(oxcart.JobState, StrEnum)


def test_errors_of_the_codes_are_those_that_are_raised() -> None:
    for codes, name, _ in table("Errors").rows:
        kind = getattr(errors, name.strip("`"))
        for number in codes.split(", "):
            code = Code(int(number))
            if code in (Code.PARENT_MISSING, Code.SLOT_TAKEN, Code.SLOTS_TAKEN):
                continue  # raised where more is known than the code
            assert isinstance(error_of(code, job_id="1", queue="q", expected="x"), kind)
    steering = {name for name in table("In a handler", 1).names() if hasattr(oxcart, name)}
    assert steering == {kind.__name__ for kind in errors.Steering.__subclasses__()}
