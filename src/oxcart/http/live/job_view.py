"""A job as it is shown to clients, its secrets hidden."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from oxcart import EventName, JobState
from oxcart.observe.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
class Presentation:
    """How a job's reports are shown to a client, after its secrets are hidden.

    Attributes:
        progress: makes the members of the document from the progress.
        reason: rewords why the job failed.
        delay_reason: rewords why workers put the job back.
        result: what is shown of what the job returned.
    """

    progress: Callable[[Any], dict[str, Any]] = lambda value: {"progress": value}
    reason: Callable[[Any], Any] = lambda value: value
    delay_reason: Callable[[Any], Any] = lambda value: value
    result: Callable[[Any], Any] = lambda value: value


PLAIN = Presentation()
"""Everything as the job reported it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job at one moment.

    Attributes:
        state: its state.
        document: what is shown of it.
        redactor: hides its secrets in what is reported later.
        presentation: how its progress and reasons are shown to this client.
    """

    state: str
    document: dict[str, Any]
    redactor: Redactor
    presentation: Presentation

    @property
    def is_finished(self) -> bool:
        """Whether the job has completed or failed for good."""
        return self.state in FINISHED

    def shown_progress(self, value: Any) -> dict[str, Any]:
        """The progress that the job reported, its secrets hidden."""
        return self.presentation.progress(self.redactor.shown(value))

    def shown_reason(self, reason: Any) -> Any:
        """Why the job failed, its secrets hidden."""
        shown = self.redactor.shown(reason)
        return None if shown is None else self.presentation.reason(shown)

    @classmethod
    def of(cls, app: App, job: Job[Any], state: JobState, presentation: Presentation) -> JobView:
        """Show a job."""
        definition = app.registry.get((job.queue, job.name))
        redactor = Redactor(job.data, definition.secrets if definition else ())
        view = cls(
            state=str(state),
            document={},
            redactor=redactor,
            presentation=presentation,
        )
        delay_reason = None if state == JobState.ACTIVE else redactor.shown(job.delay_reason)
        optional = {
            "processedOn": job.processed_at_ms,
            "finishedOn": job.finished_at_ms,
            "failedReason": view.shown_reason(job.failed_reason),
            "returnvalue": presentation.result(redactor.shown(job.return_value)),
            "delayReason": delay_reason and presentation.delay_reason(delay_reason),
        }
        document = {
            "id": job.id,
            "state": str(state),
            "type": redactor.shown_text(job.name),
            "createdAt": job.created_at_ms,
            **{name: value for name, value in optional.items() if value is not None},
            "attemptsMade": job.attempts_made,
            **view.shown_progress(job.progress),
            "data": redactor.shown(job.data),
        }
        return replace(view, document=document)

    def gone(self, event: QueueEvent | None) -> JobView:
        """The job once it is removed; the event is the last one, if it was seen."""
        state = REMOVED if event is None else str(_STATES.get(event.name, REMOVED))
        data = {} if event is None else event.data
        changes = {
            "state": state,
            "returnvalue": self.presentation.result(self.redactor.shown(data.get("returnvalue"))),
            "failedReason": self.shown_reason(data.get("failedReason")),
        }
        known = {name: value for name, value in changes.items() if value is not None}
        return replace(self, state=state, document=self.document | known)


async def read_job(
    app: App, queue: Queue, job_id: str, presentation: Presentation = PLAIN
) -> JobView | None:
    """Read a job and its state; ``None`` if there is none.

    Raises:
        StoreUnavailable: the server of the queue does not answer.
    """
    job = await queue.get_job(job_id)
    if job is None:
        return None
    state = await queue.get_state(job_id)
    if state == JobState.UNKNOWN:  # removed meanwhile
        return None
    return JobView.of(app, job, state, presentation)


def state_after(event: QueueEvent) -> JobState | None:
    """The state that an event moves its job to; ``None`` if it is about something else."""
    return _STATES.get(event.name)
