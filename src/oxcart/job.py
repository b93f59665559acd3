"""A job as users see it: a snapshot, and the way to its latest state and its result."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar, cast

import msgspec

from oxcart._model.duration import Duration
from oxcart._model.flow import Dependencies
from oxcart._model.job import JobLogs, JobRecord, made_of
from oxcart._model.json import JsonValue
from oxcart._model.states import JobState
from oxcart.errors import JobNotFound, PayloadError

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True, repr=False)
class Job(JobRecord, Generic[R]):
    """A job as it stood when it was read.

    What it is asked to do goes to the server; the snapshot does not change. ``refresh`` gives a new
    one.

    Attributes:
        queue: the name of its queue.
        is_new: false when it was added with an id, or a deduplication id, that was there already:
            then nothing was added, and the data and options are those that were given, not those
            of the existing job.
        source: the queue it was read from.
    """

    queue: str
    is_new: bool = True
    source: JobSource = field(repr=False, compare=False)
    result_type: object = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, record: JobRecord, source: JobSource, **more: Any) -> Job[R]:
        """Bind a record to its queue."""
        return made_of(cls, {**record.__dict__, "queue": source.name, "source": source, **more})

    def __repr__(self) -> str:
        """Show what tells the job from others; its data may hold secrets."""
        return f"Job(id={self.id!r}, name={self.name!r}, queue={self.queue!r})"

    @property
    def max_attempts(self) -> int:
        """How often the job is run before it has failed."""
        return self.options.max_attempts

    async def refresh(self) -> Job[R]:
        """Read the job again.

        Raises:
            JobNotFound: it was removed.
        """
        job = await self.source.get_job(self.id)
        if job is None:
            raise JobNotFound(job_id=self.id, queue=self.queue)
        return Job.of(job, self.source, result_type=self.result_type)

    async def state(self) -> JobState:
        """The job's state now; ``UNKNOWN`` once it was removed."""
        return await self.source.get_state(self.id)

    async def result(self, timeout: Duration = "30s") -> R:  # noqa: ASYNC109  # its own deadline
        """Wait until the job is finished and give what its handler returned.

        Args:
            timeout: how long to wait.

        Raises:
            JobFailed: the job failed for good.
            JobNotFound: it was removed, so that its result is not known.
            PayloadError: the result is not of the type that the handler declares.
            ResultTimeout: it was not finished in time; it goes on.
        """
        value = await self.source.wait_for_result(self.id, timeout=timeout)
        if self.result_type is None:
            return cast("R", value)
        try:
            return cast("R", msgspec.convert(value, type=self.result_type, str_keys=True))
        except msgspec.ValidationError as error:
            raise PayloadError(
                f"the result of job {self.id!r} is not what its handler declares: {error}"
            ) from error

    async def cancel(self, reason: str = "cancelled") -> bool:
        """Cancel the job, wherever it is; see ``Queue.cancel``."""
        return await self.source.cancel(self.id, reason)

    async def retry(
        self, *, state: JobState = JobState.FAILED, resets_attempts: bool = False
    ) -> None:
        """Put the finished job back to be run; see ``Queue.retry``."""
        await self.source.retry(self.id, state=state, resets_attempts=resets_attempts)

    async def promote(self) -> None:
        """Make the delayed job ready now; see ``Queue.promote``."""
        await self.source.promote(self.id)

    async def remove(self, *, with_children: bool = True) -> None:
        """Remove the job; see ``Queue.remove``."""
        await self.source.remove(self.id, with_children=with_children)

    async def change_delay(self, delay: Duration | datetime) -> None:
        """Change when the delayed job is due; see ``Queue.change_delay``."""
        await self.source.change_delay(self.id, delay)

    async def change_priority(self, priority: int, *, lifo: bool = False) -> None:
        """Change the job's priority; see ``Queue.change_priority``."""
        await self.source.change_priority(self.id, priority, lifo=lifo)

    async def update_data(self, data: JsonValue) -> None:
        """Replace the job's data; see ``Queue.update_data``."""
        await self.source.update_data(self.id, data)

    async def update_progress(self, progress: JsonValue) -> None:
        """Set the job's progress; see ``Queue.update_progress``."""
        await self.source.update_progress(self.id, progress)

    async def logs(self, *, start: int = 0, end: int = -1) -> JobLogs:
        """Read a page of the job's log, oldest row first."""
        return await self.source.get_logs(self.id, start=start, end=end)

    async def log(self, row: str) -> int:
        """Append a row to the job's log; gives how many are kept."""
        return await self.source.add_log(self.id, row, keep=self.options.log_limit)

    async def children_values(self) -> dict[str, JsonValue]:
        """What the job's completed children returned, by their full keys (prefix:queue:id)."""
        return await self.source.get_children_values(self.id)

    async def ignored_children_failures(self) -> dict[str, str]:
        """Why children failed whose failure the job ignores, by their full keys."""
        return await self.source.get_ignored_children_failures(self.id)

    async def dependencies(self) -> Dependencies:
        """All children of the job, by how they stand."""
        return await self.source.get_dependencies(self.id)


class JobSource(Protocol):
    """What a job needs of its queue; ``Queue`` has it."""

    @property
    def name(self) -> str: ...  # noqa: D102

    async def get_job(self, job_id: str) -> Job[Any] | None: ...  # noqa: D102
    async def get_state(self, job_id: str) -> JobState: ...  # noqa: D102
    async def get_logs(self, job_id: str, *, start: int, end: int) -> JobLogs: ...  # noqa: D102
    async def wait_for_result(self, job_id: str, *, timeout: Duration) -> JsonValue: ...  # noqa: ASYNC109, D102
    async def cancel(self, job_id: str, reason: str) -> bool: ...  # noqa: D102
    async def retry(  # noqa: D102
        self, job_id: str, *, state: JobState, resets_attempts: bool
    ) -> None: ...
    async def promote(self, job_id: str) -> None: ...  # noqa: D102
    async def remove(self, job_id: str, *, with_children: bool) -> None: ...  # noqa: D102
    async def change_delay(self, job_id: str, delay: Duration | datetime) -> None: ...  # noqa: D102
    async def change_priority(self, job_id: str, priority: int, *, lifo: bool) -> None: ...  # noqa: D102
    async def update_data(self, job_id: str, data: JsonValue) -> None: ...  # noqa: D102
    async def update_progress(self, job_id: str, progress: JsonValue) -> None: ...  # noqa: D102
    async def add_log(self, job_id: str, row: str, *, keep: int | None) -> int: ...  # noqa: D102
    async def get_children_values(self, job_id: str) -> dict[str, JsonValue]: ...  # noqa: D102
    async def get_ignored_children_failures(self, job_id: str) -> dict[str, str]: ...  # noqa: D102
    async def get_dependencies(self, job_id: str) -> Dependencies: ...  # noqa: D102
