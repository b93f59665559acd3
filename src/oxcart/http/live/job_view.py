"""A job as it is shown to clients, its secrets hidden."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oxcart import EventName, JobState
from oxcart.observe.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oxcart import App, Job, Queue, QueueEvent

REMOVED = "removed"
"""Shown as the state of a job that was removed while a client followed it."""
FINISHED = (JobState.COMPLETED, JobState.FAILED)
_STATES: Mapping[str, JobState] = {
    EventName.WAITING: JobState.WAITING,
    EventName.DELAYED: JobState.DELAYED,
    EventName.WAITING_CHILDREN: JobState.WAITING_CHILDREN,
    EventName.ACTIVE: JobState.ACTIVE,
    EventName.COMPLETED: JobState.COMPLETED,
    EventName.FAILED: JobState.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job at one moment.

    Attributes:
        state: its state.
        document: what is shown of it.
        redactor: hides its secrets in what is reported later.
    """

    state: str
    document: dict[str, Any]
    redactor: Redactor

    @property
    def is_finished(self) -> bool:
        """Whether the job has completed or failed for good."""
        return self.state in FINISHED

    def shown(self, value: Any) -> Any:
        """A value that the job reported, its secrets hidden."""
        return self.redactor.shown(value)

    @classmethod
    def of(cls, app: App, job: Job[Any], state: JobState) -> JobView:
        """Show a job."""
        definition = app.registry.get((job.queue, job.name))
        redactor = Redactor(job.data, definition.secrets if definition else ())
        optional = {
            "processedOn": job.processed_at_ms,
            "finishedOn": job.finished_at_ms,
            "failedReason": redactor.shown(job.failed_reason),
            "returnvalue": redactor.shown(job.return_value),
            "delayReason": None if state == JobState.ACTIVE else redactor.shown(job.delay_reason),
        }
        document = {
            "id": job.id,
            "state": str(state),
            "type": redactor.shown_text(job.name),
            "createdAt": job.created_at_ms,
            **{name: value for name, value in optional.items() if value is not None},
            "attemptsMade": job.attempts_made,
            "progress": redactor.shown(job.progress),
            "data": redactor.shown(job.data),
        }
        return cls(state=str(state), document=document, redactor=redactor)

    def gone(self, event: QueueEvent | None) -> JobView:
        """The job once it is removed; the event is the last one, if it was seen."""
        state = REMOVED if event is None else str(_STATES.get(event.name, REMOVED))
        data = {} if event is None else event.data
        changes = {
            "state": state,
            "returnvalue": self.redactor.shown(data.get("returnvalue")),
            "failedReason": self.redactor.shown(data.get("failedReason")),
        }
        known = {name: value for name, value in changes.items() if value is not None}
        return JobView(state=state, document=self.document | known, redactor=self.redactor)


async def read_job(app: App, queue: Queue, job_id: str) -> JobView | None:
    """Read a job and its state; ``None`` if there is none.

    Raises:
        StoreUnavailable: the server of the queue does not answer.
    """
    job = await queue.get_job(job_id)
    if job is None:
        return None
    state = await queue.get_state(job_id)
    return None if state == JobState.UNKNOWN else JobView.of(app, job, state)  # removed meanwhile


def state_after(event: QueueEvent) -> JobState | None:
    """The state that an event moves its job to; ``None`` if it is about something else."""
    return _STATES.get(event.name)
