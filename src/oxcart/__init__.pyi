# What type checkers and editors see of ``__init__``, which imports a name when it is first used.
from oxcart._engine.context import JobContext, SyncJobContext, current_job
from oxcart._engine.handler import FailedJob
from oxcart._engine.middleware import CallNext, Middleware
from oxcart._engine.pauses import WorkerPause, WorkerPauses
from oxcart._engine.provided import Provided
from oxcart._engine.retry_policy import BackoffStrategy, RetryRules
from oxcart._engine.threads import JobInterrupted
from oxcart._engine.worker_hooks import CompletedJob, FailedAttempt, StalledJob, WorkerTrouble
from oxcart._model.duration import Duration
from oxcart._model.flow import Dependencies, DependencyCounts, Flow, FlowNode
from oxcart._model.job import JobCounts, JobLogs, JobRecord, JobSpec
from oxcart._model.json import JsonValue
from oxcart._model.links import Deduplication, ParentPolicy, ParentRef, RateLimit
from oxcart._model.options import Backoff, JobOptions, Retention, exponential, fixed
from oxcart._model.registry import ProcessInfo, RegisteredWorker, WorkerRecord
from oxcart._model.schedule import Schedule, SchedulerInfo
from oxcart._model.states import JobState
from oxcart._model.unknown import SeenBy, UnknownJob, UnknownKind
from oxcart._model.watching import Metrics, QueueAnomalies, QueueFigures, QueueMeta, WorkerInfo
from oxcart._store.connection import Timeouts
from oxcart._version import __version__ as __version__
from oxcart.app import App, AppWorker
from oxcart.definition import JobDefinition
from oxcart.errors import (
    Delay,
    Fail,
    GiveBack,
    OxcartError,
    RateLimited,
    Retry,
    WaitForChildren,
)
from oxcart.events import EventName, QueueEvent, QueueEvents
from oxcart.flow import FlowJob, FlowProducer
from oxcart.job import Job
from oxcart.queue import Queue
from oxcart.worker import Worker

__all__ = [
    "App",
    "AppWorker",
    "Backoff",
    "BackoffStrategy",
    "CallNext",
    "CompletedJob",
    "Deduplication",
    "Delay",
    "Dependencies",
    "DependencyCounts",
    "Duration",
    "EventName",
    "Fail",
    "FailedAttempt",
    "FailedJob",
    "Flow",
    "FlowJob",
    "FlowNode",
    "FlowProducer",
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
    "Metrics",
    "Middleware",
    "OxcartError",
    "ParentPolicy",
    "ParentRef",
    "ProcessInfo",
    "Provided",
    "Queue",
    "QueueAnomalies",
    "QueueEvent",
    "QueueEvents",
    "QueueFigures",
    "QueueMeta",
    "RateLimit",
    "RateLimited",
    "RegisteredWorker",
    "Retention",
    "Retry",
    "RetryRules",
    "Schedule",
    "SchedulerInfo",
    "SeenBy",
    "StalledJob",
    "SyncJobContext",
    "Timeouts",
    "UnknownJob",
    "UnknownKind",
    "WaitForChildren",
    "Worker",
    "WorkerInfo",
    "WorkerPause",
    "WorkerPauses",
    "WorkerRecord",
    "WorkerTrouble",
    "current_job",
    "exponential",
    "fixed",
]
