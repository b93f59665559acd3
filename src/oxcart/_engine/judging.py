"""What an error that a handler raised means for its job, in words that can be kept with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from oxcart._engine.threads import JobInterrupted
from oxcart._engine.tracebacks import traceback_text, type_name
from oxcart._model.clock import epoch_ms
from oxcart._model.duration import to_ms
from oxcart._model.outcome import (
    Delayed,
    Failure,
    GivenBack,
    Outcome,
    WaitingForChildren,
)
from oxcart._model.outcome import RateLimited as RateLimitedOutcome
from oxcart.errors import (
    ConfigError,
    Delay,
    Fail,
    GiveBack,
    RateLimited,
    Retry,
    WaitForChildren,
)

MAX_REASON = 8_000
MAX_TRACE = 16_000
"""How many characters of an error are kept with the job."""
MAX_MEMBERS = 5
"""How many sub-exceptions of a group its reason names; its traceback shows more."""


def judge(error: BaseException) -> Outcome | Failure:
    """What became of a run that raised."""
    try:
        result = _steered(sole(error)) or failure_of(error)
    except ConfigError as wrong_duration:
        return failure_of(wrong_duration)
    return replace(result, error=error) if isinstance(result, Failure) else result


def failure_of(error: BaseException, reason: str | None = None) -> Failure:
    """A failed attempt.

    Args:
        error: what was raised.
        reason: what is kept as the reason, instead of what the error says.
    """
    if reason is None:
        is_interrupted = isinstance(error, JobInterrupted)
        reason = "the handler's thread was interrupted" if is_interrupted else reason_of(error)
    return Failure(reason=reason, trace=trace_of(error), error=error)


def final(reason: str, error: BaseException | None = None) -> Failure:
    """A failure for good that is told by its reason alone.

    Args:
        reason: why.
        error: what the handler was ended by, if it ran.
    """
    reason = clean(reason, MAX_REASON)
    return Failure(reason=reason, trace=reason, is_permanent=True, error=error)


def sole(error: BaseException) -> BaseException:
    """The error itself, or that in a group of one, such as a TaskGroup makes."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def reason_of(error: BaseException) -> str:
    """Return the text of an error; the name of its class if it has no text or cannot make it.

    The reason of a group names its sub-exceptions.
    """
    text = _text_of(error) or type_name(error)
    if isinstance(error, BaseExceptionGroup):
        named = [_named(member) for member in error.exceptions[:MAX_MEMBERS]]
        named += ["…"] if len(error.exceptions) > MAX_MEMBERS else []
        text = f"{text}: {'; '.join(named)}"
    return clean(text, MAX_REASON)


def _named(error: BaseException) -> str:
    text = _text_of(error)
    return f"{type_name(error)}: {text}" if text else type_name(error)


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    # An exception whose text cannot be made must not take the worker with it.
    except Exception:  # noqa: BLE001
        return ""


def trace_of(error: BaseException) -> str:
    """Return the traceback of an error, as it is kept with the job."""
    try:
        text = traceback_text(error)
    # As above: formatting runs the exception's own code.
    except Exception:  # noqa: BLE001
        text = type_name(error)
    return clean(text, MAX_TRACE)


def clean(text: str, limit: int) -> str:
    """Cut a text, and replace what UTF-8 cannot hold."""
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return text.encode(errors="replace").decode()


def _steered(error: BaseException) -> Outcome | Failure | None:
    """What a handler asked for by what it raised, if it did."""
    match error:
        case Retry():
            after = None if error.after is None else to_ms(error.after, what="Retry after")
            return Failure(reason=reason_of(error), trace=trace_of(error), after_ms=after)
        case Fail():
            return Failure(reason=reason_of(error), trace=trace_of(error), is_permanent=True)
        case _:
            return _put_back(error)


def _put_back(error: BaseException) -> Outcome | None:
    """Where the job goes without an attempt being counted, if the handler asked for that."""
    match error:
        case Delay():
            return _delayed(error)
        case GiveBack():
            return GivenBack()
        case WaitForChildren():
            return WaitingForChildren()
        case RateLimited():
            return RateLimitedOutcome(to_ms(error.wait, what="RateLimited"))
        case _:
            return None


def _delayed(error: Delay) -> Outcome:
    if isinstance(error.until, datetime):
        return Delayed(0, until_ms=epoch_ms(error.until))
    return Delayed(to_ms(error.until, what="Delay"))
