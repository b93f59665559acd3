from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import Keyspace, Table, job

from oxcart import JobState
from oxcart._store.calls.reading import Result, get_result


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ({}, Result(JobState.UNKNOWN)),
        ({"completed": {"1": 5.0}}, Result(JobState.UNKNOWN)),
        ({"1": job()}, Result(JobState.WAITING)),
        ({"1": job(), "completed": {"1": 5.0}}, Result(JobState.COMPLETED)),
        (
            {"1": job(returnvalue='{"a":[1]}'), "completed": {"1": 5.0}},
            Result(JobState.COMPLETED, {"a": [1]}),
        ),
        (
            {"1": job(returnvalue="not json"), "completed": {"1": 5.0}},
            Result(JobState.COMPLETED, "not json"),
        ),
        (
            {"1": job(failedReason="boom"), "failed": {"1": 5.0}},
            Result(JobState.FAILED, reason="boom"),
        ),
        ({"1": job(), "failed": {"1": 5.0}}, Result(JobState.FAILED)),
        # Failed once and waiting for its next attempt: not over.
        ({"1": job(failedReason="boom"), "delayed": {"1": 5.0}}, Result(JobState.WAITING)),
    ],
)
async def test_result_is_told_once_the_job_is_finished(
    space: Keyspace, before: Table, expected: Result
) -> None:
    space.write(before)

    assert await space.run(get_result(space.keys, "1")) == expected
