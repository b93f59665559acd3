"""The keys of a queue: the only place that joins names with ``:``.

Source: wire format, section 1.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field

from oxcart._model.ids import check_queue_name
from oxcart._model.states import JobState
from oxcart.errors import WireError

DEFAULT_PREFIX = "bull"


@dataclass(frozen=True, slots=True)
class QueueKeys:
    """The names of every key of one queue.

    Attributes:
        prefix: shared by all queues of an installation.
        queue: the queue's name.
        base: what a job's key starts with; itself the key with the empty suffix.
    """

    prefix: str
    queue: str
    base: str = field(init=False)

    def __post_init__(self) -> None:
        """Check the queue's name and build the base."""
        check_queue_name(self.queue)
        object.__setattr__(self, "base", f"{self.prefix}:{self.queue}:")

    def job(self, job_id: str) -> str:
        """The hash of a job."""
        return self.base + job_id

    def lock(self, job_id: str) -> str:
        """The lock token of the worker that runs the job."""
        return f"{self.base}{job_id}:lock"

    def logs(self, job_id: str) -> str:
        """The job's log rows, oldest first."""
        return f"{self.base}{job_id}:logs"

    def dependencies(self, job_id: str) -> str:
        """Set of the full keys of a parent's children that are not settled."""
        return f"{self.base}{job_id}:dependencies"

    def processed(self, job_id: str) -> str:
        """Hash: completed child -> what it returned, as JSON."""
        return f"{self.base}{job_id}:processed"

    def ignored(self, job_id: str) -> str:
        """Hash: child whose failure the parent ignores -> why it failed (wire: ``failed``)."""
        return f"{self.base}{job_id}:failed"

    def unsuccessful(self, job_id: str) -> str:
        """Sorted set of children whose failure fails the parent; score: when, in ms."""
        return f"{self.base}{job_id}:unsuccessful"

    def deduplication(self, deduplication_id: str) -> str:
        """The id of the job that holds a deduplication id."""
        return f"{self.base}de:{deduplication_id}"

    def metrics(self, state: JobState) -> str:
        """Hash: how many jobs completed or failed (section 10)."""
        return f"{self.base}metrics:{STATE_SUFFIXES[state]}"

    def metrics_data(self, state: JobState) -> str:
        """List: how many a minute, newest first."""
        return f"{self.metrics(state)}:data"

    @property
    def limiter(self) -> str:
        """Jobs started in the current rate window; expires with it."""
        return self.base + "limiter"

    @property
    def wait(self) -> str:
        """List of ids ready to run; taken from the right."""
        return self.base + "wait"

    @property
    def paused(self) -> str:
        """List: what BullMQ 5 makes of ``wait`` while a queue is paused; never written here."""
        return self.base + "paused"

    @property
    def active(self) -> str:
        """List of ids being run, newest at the left."""
        return self.base + "active"

    @property
    def prioritized(self) -> str:
        """Sorted set of ids with a priority (section 4.2)."""
        return self.base + "prioritized"

    @property
    def delayed(self) -> str:
        """Sorted set of ids due later (section 4.1)."""
        return self.base + "delayed"

    @property
    def waiting_children(self) -> str:
        """Sorted set of parents whose children are not settled."""
        return self.base + "waiting-children"

    @property
    def completed(self) -> str:
        """Sorted set of completed ids; score: when, in ms."""
        return self.base + "completed"

    @property
    def failed(self) -> str:
        """Sorted set of failed ids; score: when, in ms."""
        return self.base + "failed"

    @property
    def stalled(self) -> str:
        """Set of ids that were active at the last stalled check and were not renewed since."""
        return self.base + "stalled"

    @property
    def stalled_check(self) -> str:
        """Guard: one stalled check an interval in the whole fleet."""
        return self.base + "stalled-check"

    @property
    def id(self) -> str:
        """Counter of adds."""
        return self.base + "id"

    @property
    def meta(self) -> str:
        """Hash of the queue's own settings (section 2.3)."""
        return self.base + "meta"

    @property
    def events(self) -> str:
        """Stream of events (section 6)."""
        return self.base + "events"

    @property
    def marker(self) -> str:
        """Sorted set of wake-up tokens (section 5)."""
        return self.base + "marker"

    @property
    def priority_counter(self) -> str:
        """Counter that orders jobs of the same priority."""
        return self.base + "pc"

    @property
    def repeat(self) -> str:
        """Sorted set of scheduler ids; score: ms of the pending iteration."""
        return self.base + "repeat"

    def scheduler(self, scheduler_id: str) -> str:
        """Hash: a scheduler's definition (section 11.1)."""
        return f"{self.base}repeat:{scheduler_id}"

    @property
    def workers(self) -> str:
        """Hash of our own: the registered workers, each with its record."""
        return self.base + "oxcart:workers"

    @property
    def beats(self) -> str:
        """Sorted set of our own: the registered workers; score: the last heartbeat, in ms."""
        return self.base + "oxcart:beats"

    def private(self, kind: str, name: str) -> str:
        """A key of our own, named so that Node's clean-up tools leave it alone (section 1.2)."""
        return f"{self.base}oxcart:{kind}-{name}"

    def of_state(self, state: JobState) -> str:
        """The list or sorted set that holds the ids of a state.

        Raises:
            KeyError: no collection holds ``UNKNOWN`` jobs.
        """
        return self.base + STATE_SUFFIXES[state]

    def worker_connection_name(self, worker_name: str | None) -> str:
        """What a worker's blocking connection is called, so that dashboards count it (13)."""
        encoded = b64encode(self.queue.encode()).decode()
        suffix = f":w:{worker_name}" if worker_name else ""
        return f"{self.prefix}:{encoded}{suffix}"


STATE_SUFFIXES = {
    JobState.WAITING: "wait",
    JobState.ACTIVE: "active",
    JobState.DELAYED: "delayed",
    JobState.PRIORITIZED: "prioritized",
    JobState.WAITING_CHILDREN: "waiting-children",
    JobState.COMPLETED: "completed",
    JobState.FAILED: "failed",
}
LIST_STATES = frozenset({JobState.WAITING, JobState.ACTIVE})
"""States held in lists; the others are held in sorted sets."""

_SCHEDULED_JOB_KEY = re.compile(r"(?P<prefix>.+?):(?P<queue>[^:]+):(?P<id>repeat:.+:\d+)")


def split_job_key(job_key: str) -> tuple[str, str, str]:
    """Take a job's full key apart: its prefix, its queue, its id (section 1.1).

    Ids hold no ``:``, except those of schedulers' jobs.

    Raises:
        WireError: it is no job's key.
    """
    scheduled = _SCHEDULED_JOB_KEY.fullmatch(job_key)
    if scheduled:
        return scheduled["prefix"], scheduled["queue"], scheduled["id"]
    qualified, _, job_id = job_key.rpartition(":")
    prefix, _, queue = qualified.rpartition(":")
    if not (prefix and queue and job_id):
        raise WireError(f"{job_key!r} is not the key of a job")
    return prefix, queue, job_id
