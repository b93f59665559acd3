"""A worker's step: ending runs and taking jobs in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from oxcart._model.clock import Clock
from oxcart._model.links import RateLimit
from oxcart._model.options import Retention
from oxcart._model.outcome import (
    Completed,
    Delayed,
    Failed,
    GivenBack,
    Outcome,
    PutBack,
    RateLimited,
    Retried,
    WaitingForChildren,
)
from oxcart._store.call import Call, Word, script_call
from oxcart._wire import fields
from oxcart._wire.codec import encode_stacktrace, pairs
from oxcart._wire.keys import QueueKeys

# The values of a step are not frozen, though never changed: making those takes thrice as long, and
# a worker makes them by the ten thousand a second.

REPLAY_MS = 60_000
"""How long the server remembers a worker's last step, so that it may be sent again."""

PRUNE_LIMIT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What becomes of a job beyond the outcome of its run.

    Attributes:
        attempts: the job's limit of attempts.
        lifo: whether the job goes to the front when it is retried at once.
        keep: retention for the set that it ends in.
    """

    attempts: int = 1
    lifo: bool = False
    keep: Retention = Retention.ALL
    packed: bytes = field(init=False, repr=False, compare=False)
    """The same as it is sent; equal terms are sent in equal bytes, so that they are read once."""

    def __post_init__(self) -> None:
        """Write the terms as they are sent."""
        kept, age = self.keep.count, self.keep.age_seconds
        words = (
            -1 if kept is None else kept,
            -1 if age is None else age,
            self.keep.limit or PRUNE_LIMIT,
            self.attempts,
            self.lifo,
        )
        object.__setattr__(self, "packed", msgspec.msgpack.encode(words))


DEFAULT_TERMS = Terms()


@dataclass(slots=True, kw_only=True)
class EndedRun:
    """A run of a handler that is over, to be written.

    Attributes:
        job_id: the job.
        token: the lock it was taken under.
        outcome: what became of the run.
        terms: what else is to be known of the job.
        earlier_traces: tracebacks of earlier attempts.
        trace_limit: how many are kept.
    """

    job_id: str
    token: str
    outcome: Outcome
    terms: Terms = DEFAULT_TERMS
    earlier_traces: tuple[str, ...] = ()
    trace_limit: int | None = None


@dataclass(slots=True, kw_only=True)
class TakeRequest:
    """What a worker wants to take.

    Attributes:
        count: how many jobs at the most; 0 takes none.
        token: their lock token.
        lock_ms: how long they are locked.
        worker_name: kept with the jobs.
        limit: the worker's own rate limit.
    """

    count: int
    token: str
    lock_ms: int
    worker_name: str | None = None
    limit: RateLimit | None = None


@dataclass(slots=True)
class TakenJob:
    """A job just taken, its fields not read yet: one that cannot be read fails alone."""

    job_id: str
    token: str
    fields: dict[bytes, bytes]

    @property
    def name(self) -> str:
        """The job's name, as far as it can be read."""
        return self.fields.get(fields.NAME, b"?").decode(errors="replace")


@dataclass(slots=True, kw_only=True)
class StepReply:
    """What a step did.

    Attributes:
        now_ms: the server's clock.
        codes: one an ended run, in order; see ``_wire.codes``.
        taken: the jobs taken.
        next_due_ms: when the earliest delayed job is due, if fewer were taken than asked for.
        is_held_back: the queue is paused or at its global concurrency.
        dropped: ids that stood in the queue without a readable job; they were removed.
        limited_ms: for how long a rate limit holds jobs back; 0 if none does.
        is_full: more are ready, but those taken are large enough for one reply.
    """

    now_ms: int
    codes: tuple[int, ...]
    taken: tuple[TakenJob, ...]
    next_due_ms: int | None
    is_held_back: bool
    dropped: tuple[str, ...]
    limited_ms: int = 0
    is_full: bool = False


def step(
    keys: QueueKeys,
    runs: Sequence[EndedRun],
    take: TakeRequest,
    *,
    clock: Clock,
    worker_id: str,
    sequence: int,
    metrics_size: int = 0,
) -> Call[StepReply]:
    """End runs and take jobs in one atomic step.

    Source: wire format, sections 7.4 to 7.7.

    Args:
        keys: the queue.
        runs: runs to end.
        take: jobs to take.
        clock: what the time is.
        worker_id: unique to the worker.
        sequence: number of the step, from 1: sending the same again does no harm; 0 forgets that.
        metrics_size: how many data points of finished jobs a minute are kept; 0 counts none.
    """
    limit = take.limit
    words = _words(take, clock, sequence, metrics_size)
    words += ("", "") if limit is None else (limit.max, limit.per_ms)
    for run in runs:
        words += _run_words(run)
    return script_call(
        "step",
        (keys.base, keys.private("step", worker_id)),
        words,
        lambda reply: _read_step(reply, take),
        is_repeatable=sequence > 0,
    )


def plain_step(
    keys: QueueKeys,
    runs: Sequence[EndedRun],
    take: TakeRequest,
    *,
    clock: Clock,
    worker_id: str,
    sequence: int,
    metrics_size: int = 0,
) -> Call[StepReply | None]:
    """The same for a step that ``may_be_plain``, in less of the server's time.

    Answers ``None``, and has done nothing, where that is not all that there is to do: a job has a
    parent or children, the queue is paused or limited, a delayed job is due. Then ``step`` is to be
    sent, under the same number.
    """
    words = _words(take, clock, sequence, metrics_size)
    words.append("1" if runs and runs[0].terms.keep.count is None else "0")
    for run in runs:
        words += (run.job_id, run.token, run.outcome.return_value)  # type: ignore[union-attr]  # all completed
    return script_call(
        "step_plain",
        (keys.base, keys.private("step", worker_id)),
        words,
        lambda reply: None if reply is None else _read_step(reply, take),
        is_repeatable=sequence > 0,
    )


def may_be_plain(runs: Sequence[EndedRun], take: TakeRequest) -> bool:
    """Whether a step only completes jobs that are all kept, or all not, and has no limit."""
    if take.limit is not None:
        return False
    if not runs:
        return True
    keep = runs[0].terms.keep
    is_plain = keep.age is None and keep.count in (None, 0)
    return is_plain and all(
        type(run.outcome) is Completed and (run.terms.keep is keep or run.terms.keep == keep)
        for run in runs
    )


def _words(take: TakeRequest, clock: Clock, sequence: int, metrics_size: int) -> list[Word]:
    return [
        clock.now_ms(), sequence, REPLAY_MS, take.token, take.lock_ms, take.worker_name or "",
        take.count, metrics_size,
    ]  # fmt: skip


def _run_words(run: EndedRun) -> tuple[Word, ...]:
    outcome = run.outcome
    if type(outcome) is Completed:
        return (run.job_id, run.token, "complete", outcome.return_value, run.terms.packed, "")
    verb, value, more = _other_words(run)
    packed = msgspec.msgpack.encode(more)
    return (run.job_id, run.token, verb, value, run.terms.packed, packed)


def _other_words(run: EndedRun) -> tuple[str, Word, tuple[str, int, int]]:
    """The verb of a run that did not complete, its value; and its traces, delay and instant."""
    match run.outcome:
        case Failed(reason=reason, trace=trace):
            return "fail", reason, (_traces(run, trace), 0, 0)
        case Retried(reason=reason, trace=trace, delay_ms=delay_ms):
            verb = "retry_later" if delay_ms else "retry"
            return verb, reason, (_traces(run, trace), delay_ms, 0)
        case Delayed(delay_ms=delay_ms, until_ms=until_ms):
            return "delay", "", ("", delay_ms, until_ms)
        case PutBack(delay_ms=delay_ms, note=note):
            return "put_back", note, ("", delay_ms, 0)
        case GivenBack() | WaitingForChildren() as outcome:
            verb = "give_back" if isinstance(outcome, GivenBack) else "wait"
            is_unrun = isinstance(outcome, GivenBack) and outcome.is_unrun
            return verb, "unrun" if is_unrun else "", ("", 0, 0)
        case RateLimited(for_ms=for_ms):
            return "limit", "", ("", for_ms, 0)
        case _:
            raise AssertionError(f"{run.outcome} is not written")


def _traces(run: EndedRun, trace: str) -> str:
    return encode_stacktrace(run.earlier_traces, trace, run.trace_limit).decode()


def _read_step(reply: list[Any], take: TakeRequest) -> StepReply:
    now, due, held_back, codes, taken, dropped, limited_ms, is_full = reply
    # The fields that are the same for all jobs, or new, are not sent with each.
    given = {fields.PROCESSED_AT: now}
    if take.worker_name:
        given[fields.PROCESSED_BY] = take.worker_name.encode()
    readable = []
    for job_id, flat, *started in taken:
        found = pairs(flat)
        if started:  # else the job was taken before, and this is a repeated reply
            found.update(given)
            found[fields.ATTEMPTS_STARTED] = started[0]
        try:
            readable.append(TakenJob(job_id.decode(), take.token, found))
        except UnicodeDecodeError:  # it cannot be named again, so its job is not run
            dropped.append(job_id)
    return StepReply(
        now_ms=int(now),
        codes=tuple(codes),
        taken=tuple(readable),
        next_due_ms=None if due == b"-1" else int(due),
        is_held_back=held_back == 1,
        dropped=tuple(job_id.decode(errors="replace") for job_id in dropped),
        limited_ms=int(limited_ms),
        is_full=is_full == 1,
    )
