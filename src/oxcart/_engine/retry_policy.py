"""What follows a failed attempt, as users decide it: by the class of the error, or by a function.

The order of what is asked: the rule of the most specific class of the error; the backoff that the
job brought with it; the function that its handler was declared with.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from oxcart._engine.judging import sole
from oxcart._model import backoff as backoff_policy
from oxcart._model.duration import Duration, to_ms
from oxcart._model.job import JobRecord
from oxcart._model.options import Backoff, exponential
from oxcart._model.outcome import Failure
from oxcart._wire.named_backoff import NamedBackoff, read_named_backoff
from oxcart.errors import ConfigError, Steering

if TYPE_CHECKING:
    from oxcart._engine.handler import Handler

log = logging.getLogger("oxcart.jobs")

RetryAnswer = Duration | Backoff | bool | None
"""What follows: this wait, ``False`` no further attempt, ``True`` or ``None`` the job's backoff."""
BackoffStrategy = Callable[[int, Any], RetryAnswer]
"""Answers what follows attempt number ``attempt`` (from 1), which failed with ``error``."""
RetryRule = RetryAnswer | BackoffStrategy
RetryRules = Mapping[type[BaseException], RetryRule]
"""A rule a class of error; the most specific class wins."""

BUILT_IN = ("fixed", "exponential")
_FALLBACK = exponential("1s")
"""For a backoff whose type nobody knows: retrying at once could do harm."""


def check_rules(rules: RetryRules) -> RetryRules:
    """Check rules when they are declared; gives a copy.

    Raises:
        ConfigError: naming the class and what is wrong with its rule.
    """
    if not isinstance(rules, Mapping):
        raise ConfigError(
            f"retry is {rules!r}; it must have a rule by class of error, as in "
            "{ConnectionError: '1m', KeyError: False}"
        )
    for kind, rule in rules.items():
        if not _is_error_class(kind):
            raise ConfigError(f"retry has a rule for {kind!r}; it must be a class of exceptions")
        if isinstance(rule, str | timedelta):
            to_ms(rule, what=f"retry of {kind.__name__}")
        elif not (rule is None or isinstance(rule, bool | Backoff) or callable(rule)):
            raise ConfigError(
                f"retry of {kind.__name__} is {rule!r}; it must be a duration, a backoff, "
                "a bool, None or a function of (attempt, error)"
            )
    return dict(rules)


def check_strategies(
    strategies: Mapping[str, BackoffStrategy] | None,
) -> dict[str, BackoffStrategy]:
    """Check backoff strategies when they are given; gives a copy.

    Raises:
        ConfigError: one has the name of a built-in type, or is no function.
    """
    for name, strategy in (strategies or {}).items():
        if name in BUILT_IN:
            raise ConfigError(f"backoff strategy {name!r} is built in; choose another name")
        if not callable(strategy):
            raise ConfigError(f"backoff strategy {name!r} is {strategy!r}; it must be a function")
    return dict(strategies or {})


def rule_for(rules: RetryRules, error: BaseException) -> RetryRule:
    """The rule of the most specific class of an error; ``None`` without one."""
    for kind in type(error).__mro__:
        if kind in rules:
            return rules[kind]
    return None


class RetryJudge:
    """Decides how long the next attempt waits, where a job's plain backoff does not.

    Args:
        strategies: by the type of backoff that they stand for.
        random: gives a number in [0, 1), for jitter.
    """

    def __init__(
        self, strategies: Mapping[str, BackoffStrategy], random: Callable[[], float]
    ) -> None:
        self._strategies = strategies
        self._random = random
        self._warned: set[str] = set()

    def judge(
        self,
        failure: Failure,
        error: BaseException,
        *,
        record: JobRecord,
        handler: Handler,
        raw: Mapping[bytes, bytes],
    ) -> Failure:
        """Say how long the next attempt waits, or that there is none.

        Args:
            failure: the failed attempt.
            error: what was raised; a group of one counts as the error in it.
            record: the job.
            handler: what ran it.
            raw: the job as it stands in Redis.

        Returns:
            The failure with the answer; unchanged if it is decided already, or if the job's
            plain backoff decides.
        """
        attempt, error = record.attempts_made + 1, sole(error)
        if _is_decided(failure) or attempt >= record.options.max_attempts:
            return failure
        if handler.retry is not None and not isinstance(error, Steering):
            failure = self._apply(failure, rule_for(handler.retry, error), error, attempt)
        backoff = record.options.backoff
        if _is_decided(failure) or (backoff is not None and backoff.is_built_in):
            return failure
        named = read_named_backoff(raw)
        rule = handler.backoff if named is None else self._strategy(named)
        return self._apply(failure, rule, error, attempt)

    def _strategy(self, named: NamedBackoff) -> RetryRule:
        strategy = self._strategies.get(named.name)
        if strategy is not None:
            return strategy
        stand_in = replace(_FALLBACK, delay_ms=named.delay_ms or _FALLBACK.delay_ms)
        if named.name not in self._warned:
            self._warned.add(named.name)
            log.warning(
                "job.unknown_backoff type=%s: this worker has no strategy of that name; "
                "such a job waits %d ms, and twice as long after each further attempt",
                named.name,
                stand_in.delay_ms,
            )
        return stand_in

    def _apply(
        self, failure: Failure, rule: RetryRule, error: BaseException, attempt: int
    ) -> Failure:
        try:
            answer = rule(attempt, error) if callable(rule) else rule
            return self._answered(failure, answer, attempt)
        # The function is the user's: when it breaks, the job's own backoff is what is left.
        except Exception:
            log.exception("job.retry_rule_broke error=%s", type(error).__name__)
            return failure

    def _answered(self, failure: Failure, answer: RetryAnswer, attempt: int) -> Failure:
        if answer is None or answer is True:
            return failure
        if answer is False:
            return replace(failure, is_permanent=True)
        if isinstance(answer, Backoff):
            wait = backoff_policy.delay_ms(answer, attempt, self._random)
        else:
            wait = to_ms(answer, what="the wait before the next attempt")
        return replace(failure, after_ms=wait)


def _is_decided(failure: Failure) -> bool:
    return failure.is_permanent or failure.after_ms is not None


def _is_error_class(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseException)
