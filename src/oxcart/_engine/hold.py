"""A worker's hold on one running job, as its own clock sees it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from oxcart.errors import LockLost


@dataclass(slots=True, eq=False)
class Hold:
    """The right to a running job, by this process' monotonic clock.

    Shared between the event loop and the lock keeper's thread: each field is written by one side
    (``expires_at`` and ``is_lost`` by the thread, the rest never), and reading an old value only
    delays a decision by one beat.

    Attributes:
        queue: the queue's name.
        job_id: the job.
        token: the lock token.
        expires_at: when the lock ends at the earliest, in monotonic seconds.
        on_lost: called once, from the thread, when the job is no longer ours.
        on_cancel: called from the thread, with the reason, when somebody asked to cancel the job.
        kept_until: until when somebody else keeps a lock that we kept until a time, both in
            monotonic seconds; asked only when our own renewal is overdue.
        is_lost: set once the job is no longer ours.
    """

    queue: str
    job_id: str
    token: str
    expires_at: float
    on_lost: Callable[[Hold], None]
    on_cancel: Callable[[Hold, str], None] = lambda _, __: None
    kept_until: Callable[[float], float] = lambda _: 0.0
    is_lost: bool = False

    def ensure(self) -> None:
        """Check that the job is still ours.

        Raises:
            LockLost: it is not, or may not be: the lock could not be renewed in time.
        """
        if not self.is_valid:
            raise LockLost(job_id=self.job_id, queue=self.queue)

    @property
    def is_valid(self) -> bool:
        """Whether the job is certainly still ours."""
        if self.is_lost:
            return False
        now = time.monotonic()
        return now < self.expires_at or now < self.kept_until(self.expires_at)
