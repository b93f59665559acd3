"""oxcart: background jobs for Python web applications, in the layout that BullMQ uses.

Names are imported when they are first used: a program that only imports oxcart does not pay for it.
``__init__.pyi`` says the same to type checkers.
"""

import importlib

from oxcart._version import __version__ as __version__

_HOMES = {
    "_engine.context": "JobContext SyncJobContext current_job",
    "_engine.handler": "FailedJob",
    "_engine.middleware": "CallNext Middleware",
    "_engine.pauses": "WorkerPause WorkerPauses",
    "_engine.provided": "Provided",
    "_engine.retry_policy": "BackoffStrategy RetryRules",
    "_engine.threads": "JobInterrupted",
    "_engine.worker_hooks": "CompletedJob FailedAttempt StalledJob WorkerTrouble",
    "_model.duration": "Duration",
    "_model.flow": "Dependencies DependencyCounts Flow FlowNode",
    "_model.job": "JobCounts JobLogs JobRecord JobSpec",
    "_model.json": "JsonValue",
    "_model.links": "Deduplication ParentPolicy ParentRef RateLimit",
    "_model.options": "Backoff JobOptions Retention exponential fixed",
    "_model.registry": "ProcessInfo RegisteredWorker WorkerRecord",
    "_model.schedule": "Schedule SchedulerInfo",
    "_model.states": "JobState",
    "_model.unknown": "SeenBy UnknownJob UnknownKind",
    "_model.watching": "Metrics QueueAnomalies QueueFigures QueueMeta WorkerInfo",
    "_store.connection": "Timeouts",
    "app": "App AppWorker",
    "definition": "JobDefinition",
    "errors": "Delay Fail GiveBack OxcartError RateLimited Retry WaitForChildren",
    "events": "EventName QueueEvent QueueEvents",
    "flow": "FlowJob FlowProducer",
    "job": "Job",
    "queue": "Queue",
    "worker": "Worker",
}
"""The public names, by the module that each comes from."""

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}
__all__ = sorted(_HOME_OF)  # noqa: PLE0605  # a list, which the rule does not see


def __getattr__(name: str) -> object:
    """Import a public name, or a public module of the package, when it is first used."""
    if name in _HOME_OF:
        value: object = getattr(importlib.import_module(f"oxcart.{_HOME_OF[name]}"), name)
    elif name.startswith("_"):
        raise AttributeError(f"module 'oxcart' has no attribute {name!r}")
    else:
        try:
            value = importlib.import_module(f"oxcart.{name}")
        except ModuleNotFoundError as error:
            raise AttributeError(f"module 'oxcart' has no attribute {name!r}") from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
