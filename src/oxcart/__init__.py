"""oxcart: background jobs for Python web applications, in the layout that BullMQ uses."""

from oxcart._engine.context import JobContext, SyncJobContext, current_job
from oxcart._engine.handler import FailedJob
from oxcart._engine.threads import JobInterrupted
from oxcart._model.duration import Duration
from oxcart._model.job import JobCounts, JobLogs, JobRecord, JobSpec
from oxcart._model.json import JsonValue
from oxcart._model.options import Backoff, JobOptions, Retention, exponential, fixed
from oxcart._model.states import JobState
from oxcart._store.connection import Timeouts
from oxcart._version import __version__ as __version__
from oxcart.app import App, AppWorker
from oxcart.definition import JobDefinition
from oxcart.errors import Delay, Fail, GiveBack, OxcartError, Retry
from oxcart.events import EventName, QueueEvent, QueueEvents
from oxcart.job import Job
from oxcart.queue import Queue
from oxcart.worker import Worker

__all__ = [
    "App",
    "AppWorker",
    "Backoff",
    "Delay",
    "Duration",
    "EventName",
    "Fail",
    "FailedJob",
    "GiveBack",
    "Job",
    "JobContext",
    "JobCounts",
    "JobDefinition",
    "JobInterrupted",
    "JobLogs",
    "JobOptions",
    "JobRecord",
    "JobSpec",
    "JobState",
    "JsonValue",
    "OxcartError",
    "Queue",
    "QueueEvent",
    "QueueEvents",
    "Retention",
    "Retry",
    "SyncJobContext",
    "Timeouts",
    "Worker",
    "current_job",
    "exponential",
    "fixed",
]
