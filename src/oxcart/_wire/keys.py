"""The keys of a queue: the only place that joins names with ``:``.

Source: wire format, section 1.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field

from oxcart._model.ids import check_queue_name
from oxcart._model.states import JobState

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
