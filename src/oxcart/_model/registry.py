"""Workers as they register themselves with a queue, and when one of them counts as dead."""

from __future__ import annotations

from dataclasses import dataclass

BEATS_A_LOCK = 15
"""A worker sends a heartbeat this often in the time that its locks last: every 2 s of 30 s."""
SHORTEST_BEAT_S = 0.2
"""Heartbeats of workers with very short locks are no closer than this."""
MISSED_BEATS = 1.2
"""So many intervals after the last heartbeat (2.4 s at locks of 30 s) one has been missed."""
RESTARTED_BEATS = 2.25
"""So many (4.5 s) make a worker of another container of this host count as dead."""
DEAD_BEATS = 5
"""So many (10 s) make a worker of another host count as dead."""


def beat_ms(lock_ms: int) -> float:
    """How often a worker whose locks last so long sends a heartbeat."""
    return max(SHORTEST_BEAT_S * 1_000, lock_ms / BEATS_A_LOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessInfo:
    """A process as other processes on its host can find it.

    Attributes:
        host: the host's name.
        boot: changes with each start of the host's kernel; empty where the system has no such id.
        namespace: which processes see each other's ids; empty where the system has none.
        pid: the process id.
        started: when it started, in the kernel's ticks, since ids are used again; 0 if unknown.
    """

    host: str
    boot: str = ""
    namespace: str = ""
    pid: int
    started: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRecord:
    """A worker process as it registers itself with each queue that it serves.

    Attributes:
        holder: unique to the process; the tokens of all its locks begin with it.
        name: the worker's name.
        process: where it runs.
        supervisor: the process that recovers its jobs when it dies, if there is one.
        queues: the queues that it serves.
        job_names: the job names of this queue that it has a handler for; ``None``: any.
        concurrency: how many jobs of this queue it runs at a time.
        lock_ms: how long its locks last from each renewal.
        max_stalled: how often a job may be recovered before it is failed.
        version: the version of oxcart.
        build: the build of the application; empty if unknown.
        started_at_ms: when it registered, ms since the epoch, by its own clock.
        paused_since_ms: since when it takes no jobs of this queue, ms since the epoch, by its own
            clock; 0 if it does.
        pause_reason: why it does not; may be empty.
    """

    holder: str
    name: str
    process: ProcessInfo
    supervisor: ProcessInfo | None = None
    queues: tuple[str, ...]
    job_names: tuple[str, ...] | None
    concurrency: int
    lock_ms: int
    max_stalled: int
    version: str
    build: str = ""
    started_at_ms: int = 0
    paused_since_ms: int = 0
    pause_reason: str = ""

    @property
    def beat_s(self) -> float:
        """How often it sends a heartbeat."""
        return beat_ms(self.lock_ms) / 1_000

    @property
    def missed_ms(self) -> int:
        """The age from which its last heartbeat is overdue."""
        return round(beat_ms(self.lock_ms) * MISSED_BEATS)

    def is_dead(self, age_ms: float, *, here: ProcessInfo, is_running: bool | None) -> bool:
        """Decide whether the worker has died without removing its record.

        A process that is there but sends no heartbeat is not dead: its locks run out by themselves.

        Args:
            age_ms: the age of its last heartbeat, by the server's clock.
            here: this process.
            is_running: whether a process of its id and start runs here; ``None`` if that cannot
                be found out: it is on another host or in another container.
        """
        if is_running is not None:
            return not is_running
        is_here = self.process.host == here.host and self.process.boot == here.boot != ""
        if is_here:
            return age_ms >= beat_ms(self.lock_ms) * RESTARTED_BEATS
        return age_ms >= beat_ms(self.lock_ms) * DEAD_BEATS


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredWorker:
    """A worker of a queue that registered itself, with the age of its last heartbeat.

    BullMQ's workers do not register: ``Queue.get_workers`` lists their connections.

    Attributes:
        record: what it says of itself.
        beat_age_ms: the age of its last heartbeat, by the server's clock.
    """

    record: WorkerRecord
    beat_age_ms: int

    @property
    def is_alive(self) -> bool:
        """Whether its last heartbeat is recent enough to take it for alive."""
        return self.beat_age_ms < beat_ms(self.record.lock_ms) * DEAD_BEATS
