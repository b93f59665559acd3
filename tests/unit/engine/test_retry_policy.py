from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from oxcart import JobContext, JobOptions, JobRecord, RetryRules, exponential, fixed
from oxcart._engine.handler import Handler
from oxcart._engine.retry_policy import BackoffStrategy, RetryJudge, check_rules, rule_for
from oxcart._model.outcome import Failure
from oxcart.errors import Retry

FAILURE = Failure(reason="why", trace="where")


async def run_nothing(_: JobContext) -> object:
    raise AssertionError("nothing is run here")


def judged(
    error: BaseException,
    *,
    retry: RetryRules | None = None,
    backoff: BackoffStrategy | None = None,
    strategies: dict[str, BackoffStrategy] | None = None,
    opts: str = "{}",
    options: JobOptions | None = None,
    attempts_made: int = 0,
    failure: Failure = FAILURE,
) -> Failure:
    record = JobRecord(
        id="1",
        name="work",
        data=None,
        options=options or JobOptions(attempts=5),
        attempts_made=attempts_made,
    )
    return RetryJudge(strategies or {}, lambda: 0.5).judge(
        failure,
        error,
        record=record,
        handler=Handler(invoke=run_nothing, retry=retry, backoff=backoff),
        raw={b"opts": opts.encode()},
    )


def test_rule_of_the_most_specific_class_wins_whatever_their_order() -> None:
    orders: list[RetryRules] = [
        {OSError: "1s", ConnectionError: "2s", Exception: "3s"},
        {Exception: "3s", ConnectionError: "2s", OSError: "1s"},
    ]

    for rules in orders:
        assert ["2s", "1s", "3s", None] == [
            rule_for(rules, error)
            for error in (ConnectionResetError(), FileNotFoundError(), ValueError(), SystemExit())
        ]


def test_rules_are_copied_when_they_are_declared() -> None:
    rules: dict[Any, Any] = {ValueError: False, OSError: timedelta(seconds=1)}
    checked = check_rules(rules)

    rules.clear()

    assert {ValueError: False, OSError: timedelta(seconds=1)} == checked


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("2s", 2_000),
        (timedelta(seconds=3), 3_000),
        ("0ms", 0),
        (fixed("4s"), 4_000),
        (exponential("1s"), 4_000),  # the third attempt
        (exponential("1s", jitter=1), 2_000),
        (None, None),
        (True, None),
    ],
    ids=repr,
)
@pytest.mark.parametrize("is_asked", [False, True])
def test_answer_tells_the_wait_after_the_attempt(
    answer: Any, expected: int | None, is_asked: bool
) -> None:
    rule = (lambda attempt, error: answer) if is_asked else answer

    after = judged(ValueError(), retry={ValueError: rule}, attempts_made=2)

    assert (expected, False) == (after.after_ms, after.is_permanent)


def test_answer_of_false_leaves_no_further_attempt() -> None:
    assert judged(ValueError(), retry={ValueError: False}).is_permanent


def test_functions_are_asked_with_the_attempt_from_one_and_the_error() -> None:
    asked: list[tuple[int, Any]] = []
    error = ValueError()

    judged(error, retry={ValueError: lambda *given: asked.append(given)}, attempts_made=0)
    judged(error, backoff=lambda *given: asked.append(given), attempts_made=1)

    assert [(1, error), (2, error)] == asked


def test_jobs_own_backoff_goes_before_the_handlers_function() -> None:
    function: BackoffStrategy = lambda *_: "9s"  # noqa: E731  # as users write it
    own = JobOptions(attempts=5, backoff=fixed("1s"))

    assert judged(ValueError(), backoff=function).after_ms == 9_000
    assert judged(ValueError(), backoff=function, options=own).after_ms is None


def test_rule_goes_before_the_jobs_own_backoff() -> None:
    own = JobOptions(attempts=5, backoff=fixed("1s"))

    assert judged(ValueError(), retry={ValueError: "2s"}, options=own).after_ms == 2_000
    assert judged(ValueError(), retry={OSError: "2s"}, options=own).after_ms is None


def test_backoff_named_by_the_job_goes_before_the_handlers_function() -> None:
    options = {
        "backoff": lambda *_: "9s",
        "strategies": {"mine": lambda *_: "2s"},
        "opts": '{"backoff": {"type": "mine"}}',
    }

    assert judged(ValueError(), **options).after_ms == 2_000  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("opts", "attempts_made", "expected"),
    [
        ('{"backoff": {"type": "strange"}}', 0, 1_000),
        ('{"backoff": {"type": "strange"}}', 2, 4_000),
        ('{"backoff": {"type": "strange", "delay": 50}}', 1, 100),
    ],
)
def test_backoff_that_nobody_knows_waits_longer_each_time(
    opts: str, attempts_made: int, expected: int
) -> None:
    assert judged(ValueError(), opts=opts, attempts_made=attempts_made).after_ms == expected


@pytest.mark.parametrize(
    "failure",
    [
        Failure(reason="why", trace="where", is_permanent=True),
        Failure(reason="why", trace="where", after_ms=5),
    ],
    ids=["for good", "wait asked for"],
)
def test_what_is_decided_already_is_not_asked_about(failure: Failure) -> None:
    def ask(*_: object) -> bool:
        raise AssertionError("asked")

    assert failure == judged(ValueError(), retry={ValueError: ask}, failure=failure, backoff=ask)


def test_rules_are_not_for_what_a_handler_raises_to_steer_its_job() -> None:
    rules: RetryRules = {Exception: False}

    assert judged(Retry(), retry=rules) == FAILURE
    assert judged(Retry(), retry=rules, backoff=lambda *_: "2s").after_ms == 2_000
