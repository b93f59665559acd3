"""A job as users see it: a snapshot, and the way to its latest state and its result."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar, cast

import msgspec

from oxcart._engine.results import wait_for_result
from oxcart._model.duration import Duration
from oxcart._model.job import JobRecord
from oxcart._model.states import JobState
from oxcart._store.calls import reading
from oxcart._store.store import Store
from oxcart._wire.keys import QueueKeys
from oxcart.errors import JobNotFound, PayloadError

R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Job(JobRecord, Generic[R]):
    """A job as it stood when it was read.

    Attributes:
        queue: the name of its queue.
        is_new: false when it was added with an id that was there already: then nothing was added,
            and the data and options are those that were given, not those of the existing job.
    """

    queue: str
    is_new: bool = True
    store: Store = field(repr=False, compare=False)
    keys: QueueKeys = field(repr=False, compare=False)
    result_type: object = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, record: JobRecord, store: Store, keys: QueueKeys, **more: Any) -> Job[R]:
        """Bind a record to its queue."""
        values = {item.name: getattr(record, item.name) for item in fields(JobRecord)}
        return cls(queue=keys.queue, store=store, keys=keys, **values, **more)

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
        record = await self.store.run(reading.get_job(self.keys, self.id))
        if record is None:
            raise JobNotFound(job_id=self.id, queue=self.queue)
        return Job.of(record, self.store, self.keys, result_type=self.result_type)

    async def state(self) -> JobState:
        """The job's state now; ``UNKNOWN`` once it was removed."""
        states = await self.store.run(reading.get_states(self.keys, [self.id]))
        return states[0]

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
        value = await wait_for_result(self.store, self.keys, self.id, timeout)
        if self.result_type is None:
            return cast("R", value)
        try:
            return cast("R", msgspec.convert(value, type=self.result_type, str_keys=True))
        except msgspec.ValidationError as error:
            raise PayloadError(
                f"the result of job {self.id!r} is not what its handler declares: {error}"
            ) from error
