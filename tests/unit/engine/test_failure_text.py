"""What the kept texts say about a job's last error, and how tracebacks are shown."""

from __future__ import annotations

import asyncio

import pytest

from oxcart._engine.judging import judge, trace_of
from oxcart._engine.tracebacks import traceback_text
from oxcart._model.duration import to_ms
from oxcart._model.failure_text import UNKNOWN, failure_text
from oxcart._model.outcome import Failure
from oxcart.errors import ConfigError, Fail


class ShopError(Exception):
    """An error of an application."""


async def raises(error: BaseException, cause: BaseException | None = None) -> None:
    if cause is None:
        raise error
    try:
        raise cause
    except type(cause):
        raise error from cause


async def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        await raises(error, cause)
    except BaseException as found:  # noqa: BLE001  # whatever it is
        return found
    raise AssertionError


@pytest.mark.parametrize(
    ("error", "cause", "kind"),
    [
        (KeyError("missing"), None, "KeyError"),
        (SystemExit(3), None, "SystemExit"),
        (ShopError("two\nlines"), None, "ShopError"),
        (ShopError(), None, "ShopError"),
        (TimeoutError("timed out after 5 ms"), asyncio.CancelledError("x"), "TimeoutError"),
        (ValueError("Traceback (most recent call last):"), KeyError("k"), "ValueError"),
        (ExceptionGroup("many", [KeyError("a"), ValueError("b")]), None, "ExceptionGroup"),
        (ExceptionGroup("many", [ValueError(1), ValueError(2)]), KeyError("a"), "ExceptionGroup"),
        (Fail("no such account"), None, "Fail"),
    ],
)
async def test_class_of_an_error_is_found_in_what_is_kept(
    error: BaseException, cause: BaseException | None, kind: str
) -> None:
    failure = judge(await raised(error, cause))
    assert isinstance(failure, Failure)

    found = failure_text(failure.reason, ["KeyError: 'an earlier attempt'", failure.trace])

    assert (kind, failure.trace) == (found.error_type, found.traceback)
    assert "in raises" in failure.trace


@pytest.mark.parametrize(
    ("reason", "trace", "kind"),
    [
        ("failure 2", "Error: failure 2\n    at Worker.run (worker.js:7:9)", "Error"),
        ("x is not a function", "TypeError: x is not a function\n    at f (a.js:1:1)", "TypeError"),
        ("no such file", "Error [ERR_NO]: no such file\n    at f (a.js:1:1)", "Error"),
        ("boom", "shop.Errors$Boom: boom\n\tat Main", "Errors$Boom"),
        # Node's UnrecoverableError without a message.
        ("UnrecoverableError", "UnrecoverableError\n    at f (a.js:1:1)", "UnrecoverableError"),
    ],
)
def test_class_of_an_error_that_node_kept_is_found(reason: str, trace: str, kind: str) -> None:
    found = failure_text(reason, [trace])

    assert (kind, trace) == (found.error_type, found.traceback)


@pytest.mark.parametrize(
    ("reason", "traces"),
    [
        ("job stalled more than allowable limit", []),
        ("job stalled more than allowable limit", ["Error: an attempt before\n    at f"]),
        ("cancelled", ["cancelled"]),
        ("no handler for job name 'x'", ["no handler for job name 'x'"]),
        ("boom", ["something else\n entirely"]),
        ("boom", [""]),
        ("boom", ["Traceback (most recent call last):\n  File cut off"]),
    ],
)
def test_failure_without_an_error_of_its_own_has_no_class(reason: str, traces: list[str]) -> None:
    assert UNKNOWN == failure_text(reason, traces)


async def test_reason_of_a_group_names_its_members() -> None:
    group = ExceptionGroup("many", [KeyError("a"), ValueError("b"), ShopError()])
    large = ExceptionGroup("many", [ValueError(number) for number in range(7)])

    reasons = [failure.reason for failure in map(judge, (group, large)) if type(failure) is Failure]

    assert [
        "many (3 sub-exceptions): KeyError: 'a'; ValueError: b; ShopError",
        "many (7 sub-exceptions): ValueError: 0; ValueError: 1; ValueError: 2; ValueError: 3; "
        "ValueError: 4; …",
    ] == reasons


async def test_frames_of_oxcart_are_left_out() -> None:
    with pytest.raises(ConfigError) as caught:
        to_ms({}, what="x")  # type: ignore[arg-type]

    text = trace_of(caught.value)

    assert "test_frames_of_oxcart_are_left_out" in text
    assert "_model" not in text


async def test_error_that_has_no_other_frames_keeps_those_of_oxcart() -> None:
    with pytest.raises(ConfigError) as caught:
        to_ms({}, what="x")  # type: ignore[arg-type]
    assert caught.value.__traceback__ is not None
    inside = caught.value.__traceback__.tb_next  # without the test's own frame

    assert "_model" in traceback_text(AttributeError("x").with_traceback(inside))
    assert "_model" not in traceback_text(ConfigError("x").with_traceback(inside))
