"""Every error that oxcart raises, grouped by who must act.

::

    OxcartError
    ├── ConfigError (also ValueError)     the caller: a setting or an option is wrong
    ├── PayloadError (also ValueError)    the caller: data that JSON or the handler cannot hold
    ├── ResultError (also ValueError)     the handler: it returned what JSON cannot hold
    ├── JobError                          the caller: the job is not what the call expects
    │   ├── JobNotFound
    │   │   └── ParentNotFound
    │   ├── JobNotInState
    │   ├── JobLocked
    │   ├── ParentConflict
    │   ├── ChildrenPending
    │   ├── ChildrenFailed
    │   └── JobFailed                     raised to whoever waits for a result
    ├── QueueNotFound                     the caller: there is no queue of this name
    ├── QueueBusy                         the caller: jobs of the queue are being run
    ├── ResultTimeout (also TimeoutError) the caller: the job did not finish in time
    ├── LockError                         the worker: the job is no longer ours
    │   ├── LockLost
    │   └── LockMismatch
    ├── WireError                         us: something in Redis is not what the format says
    │   └── UnknownCode
    ├── ResourceError                     the operator: a worker cannot open what its handlers need
    └── StoreError                        the operator: the server
        ├── StoreUnavailable
        ├── StoreTimeout
        └── ScriptFailed
            └── WrongKeyType

    Steering                              raised by a handler to steer its own job
    ├── Retry                             this attempt failed, run again after a while
    ├── Fail                              failed for good
    ├── Delay                             run later, no attempt is counted
    ├── GiveBack                          run again as soon as possible, no attempt is counted
    ├── WaitForChildren                   run again when the children are settled
    └── RateLimited                       the whole queue waits, no attempt is counted
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta


class OxcartError(Exception):
    """The root of every error that oxcart raises."""


class ConfigError(OxcartError, ValueError):
    """A setting or an option has a value that cannot work."""


class PayloadError(OxcartError, ValueError):
    """Data that JSON cannot hold, or that does not fit the handler."""


class ResultError(OxcartError, ValueError):
    """A handler returned what JSON cannot hold, such as NaN: the attempt failed.

    It is retried like any other error while attempts are left.
    """


class JobError(OxcartError):
    """A job is not what the call expects.

    Attributes:
        job_id: the job.
        queue: its queue.
    """

    def __init__(self, message: str, *, job_id: str, queue: str) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.queue = queue


class JobNotFound(JobError):
    """No such job: it never existed, or it was removed."""

    def __init__(self, *, job_id: str, queue: str) -> None:
        super().__init__(
            f"job {job_id!r} is not in queue {queue!r}; it may have been removed by its retention",
            job_id=job_id,
            queue=queue,
        )


class ParentNotFound(JobNotFound):
    """The job's parent is not there; the job was not added."""

    def __init__(self, *, job_id: str, queue: str) -> None:
        JobError.__init__(
            self,
            f"the parent, job {job_id!r} of queue {queue!r}, is not there; nothing was added",
            job_id=job_id,
            queue=queue,
        )


class JobNotInState(JobError):
    """The job is in another state than the call needs; nothing was changed."""

    def __init__(self, *, job_id: str, queue: str, expected: str) -> None:
        state = "finished already" if expected == "unfinished" else f"not {expected}"
        super().__init__(
            f"job {job_id!r} of queue {queue!r} is {state}; nothing was changed",
            job_id=job_id,
            queue=queue,
        )
        self.expected = expected


class JobLocked(JobError):
    """A worker is running the job, so it cannot be removed."""

    def __init__(self, *, job_id: str, queue: str) -> None:
        super().__init__(
            f"job {job_id!r} of queue {queue!r} is being run by a worker; it was not removed",
            job_id=job_id,
            queue=queue,
        )


class ParentConflict(JobError):
    """A job that exists already is the child of another parent; nothing was added."""

    def __init__(self, *, job_id: str, queue: str) -> None:
        super().__init__(
            f"job {job_id!r} of queue {queue!r} is the child of another parent already; "
            "nothing was added",
            job_id=job_id,
            queue=queue,
        )


class ChildrenPending(JobError):
    """The job cannot complete: some of its children are not settled."""

    def __init__(self, *, job_id: str, queue: str) -> None:
        super().__init__(
            f"job {job_id!r} of queue {queue!r} has children that are not settled; "
            "its handler can wait for them by raising WaitForChildren()",
            job_id=job_id,
            queue=queue,
        )


class ChildrenFailed(JobError):
    """The job cannot complete or wait: children failed that fail their parent."""

    def __init__(self, *, job_id: str, queue: str) -> None:
        super().__init__(
            f"job {job_id!r} of queue {queue!r} has children that failed and fail their parent",
            job_id=job_id,
            queue=queue,
        )


class JobFailed(JobError):
    """The job that was waited for failed for good.

    Attributes:
        reason: the text of the handler's last error, or why the job failed without one.
        error_type: the name of the class of that error; ``None`` if it is not known, as of a job
            that failed without being run.
        traceback: the text of its traceback, as the worker kept it with the job, Node's too;
            ``None`` if there is none.
    """

    def __init__(
        self,
        *,
        job_id: str,
        queue: str,
        reason: str,
        error_type: str | None = None,
        traceback: str | None = None,
    ) -> None:
        is_named = error_type in (None, "Fail", "Retry", reason)
        shown = reason if is_named else f"{error_type}: {reason}"
        super().__init__(
            f"job {job_id!r} of queue {queue!r} failed: {shown}", job_id=job_id, queue=queue
        )
        self.reason = reason
        self.error_type = error_type
        self.traceback = traceback


class QueueNotFound(OxcartError):
    """A queue does not exist: nothing declares it, and nothing in Redis belongs to it.

    Attributes:
        queue: the name.
    """

    def __init__(self, *, queue: str, known: Sequence[str] = ()) -> None:
        names = f"; known queues: {', '.join(known)}" if known else ""
        super().__init__(f"queue {queue!r} does not exist{names}; nothing was changed")
        self.queue = queue


class QueueBusy(OxcartError):
    """Jobs of the queue are being run, so it was not obliterated; it stays paused.

    Attributes:
        queue: the queue.
    """

    def __init__(self, *, queue: str) -> None:
        super().__init__(
            f"jobs of queue {queue!r} are being run; nothing was removed and the queue stays "
            "paused: wait until they have ended, or force it"
        )
        self.queue = queue


class ResultTimeout(OxcartError, TimeoutError):
    """A job did not finish within the time that the caller gave; it goes on."""


class LockError(OxcartError):
    """The job is no longer this worker's.

    Attributes:
        job_id: the job.
        queue: its queue.
    """

    def __init__(self, message: str, *, job_id: str, queue: str) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.queue = queue


class LockLost(LockError):
    """The lock expired, was taken away, or could not be renewed in time."""

    def __init__(self, *, job_id: str, queue: str) -> None:
        super().__init__(
            f"the lock on job {job_id!r} of queue {queue!r} was lost; "
            "another worker may be running it, so this run must write nothing more",
            job_id=job_id,
            queue=queue,
        )


class LockMismatch(LockError):
    """Another worker holds the lock."""

    def __init__(self, *, job_id: str, queue: str) -> None:
        super().__init__(
            f"another worker holds the lock on job {job_id!r} of queue {queue!r}",
            job_id=job_id,
            queue=queue,
        )


class WireError(OxcartError):
    """Something in Redis is not what the wire format says."""


class UnknownCode(WireError):
    """A script answered with a code that this version does not know."""


class ResourceError(OxcartError):
    """A worker cannot run: it could not open a resource that its handlers need.

    Attributes:
        resource: the resource's name.
    """

    def __init__(self, resource: str, cause: BaseException) -> None:
        said = str(cause) or type(cause).__name__
        super().__init__(f"resource {resource!r} could not be opened: {said}")
        self.resource = resource


class StoreError(OxcartError):
    """The server refused or could not answer."""


class StoreUnavailable(StoreError):
    """The server cannot be reached, or refuses for now whatever it is asked."""


class StoreTimeout(StoreUnavailable):
    """The server did not answer in time; whether the call took effect is not known."""


class ScriptFailed(StoreError):
    """A script ended with an error on the server."""


class WrongKeyType(ScriptFailed):
    """A key of the queue holds something else than it should: another program wrote to it."""


class Steering(Exception):  # raised to steer, like StopIteration
    """The root of what a handler raises to steer its own job."""


class Retry(Steering):
    """Count this attempt as failed and run the job again.

    Args:
        reason: kept as the job's failed reason.
        after: how long to wait; without it the job's backoff decides.
    """

    def __init__(
        self,
        reason: str = "retry asked for by the handler",
        *,
        after: timedelta | str | None = None,
    ) -> None:
        super().__init__(reason)
        self.after = after


class Fail(Steering):
    """Fail the job for good, whatever attempts are left.

    Args:
        reason: kept as the job's failed reason.
    """


class Delay(Steering):
    """Run the job again later without counting an attempt.

    Args:
        until: an aware instant, or how long from now.
    """

    def __init__(self, until: datetime | timedelta | str) -> None:
        super().__init__(f"delayed until {until}")
        self.until = until


class GiveBack(Steering):
    """Put the job back to the front of the queue without counting an attempt."""


class WaitForChildren(Steering):
    """Run the job again when its children are settled; no attempt is counted.

    A job whose children are settled already is run again at once.
    """


class RateLimited(Steering):
    """Put the job back and let the whole queue wait: a rate limit of another system was met.

    No attempt is counted.

    Args:
        wait: how long the queue's workers take no job.
    """

    def __init__(self, wait: timedelta | str) -> None:
        super().__init__(f"rate limited for {wait}")
        self.wait = wait
