"""A declared job: the handler, its options, and the ways to enqueue it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    ParamSpec,
    TypedDict,
    TypeVar,
    Unpack,
    cast,
    get_type_hints,
    overload,
)

from oxcart import sync
from oxcart._engine.extensions import FailureHook, Surroundings
from oxcart._engine.handler import Handler
from oxcart._engine.invoking import invoker
from oxcart._engine.payload import Binder, binder_of
from oxcart._engine.provided import needs_of
from oxcart._engine.retry_policy import BackoffStrategy, RetryRules
from oxcart._model.duration import Duration
from oxcart._model.flow import FlowNode
from oxcart._model.job import JobSpec
from oxcart._model.json import JsonValue
from oxcart._model.links import Deduplication, ParentPolicy, ParentRef
from oxcart._model.options import (
    PLAIN_OPTIONS,
    Backoff,
    JobOptions,
    Retention,
    check_option_names,
)
from oxcart._model.schedule import Schedule
from oxcart.errors import ConfigError
from oxcart.job import Job

if TYPE_CHECKING:
    from oxcart.app import App

P = ParamSpec("P")
R = TypeVar("R")


class JobChanges(TypedDict, total=False):
    """Options of one enqueue, for type checkers; see ``JobOptions``."""

    job_id: str | None
    delay: Duration | datetime | None
    priority: int
    lifo: bool
    attempts: int
    backoff: Backoff | None
    keep_completed: Retention | None
    keep_failed: Retention | None
    timestamp: datetime | None
    stacktrace_limit: int | None
    size_limit: int | None
    log_limit: int | None
    parent: ParentRef | None
    parent_on_failure: ParentPolicy | None
    deduplication: Deduplication | str | None
    expires: Duration | datetime | None
    telemetry_metadata: str | None
    omit_telemetry_context: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDefinition(Generic[P, R]):
    """A declared job. Calling it calls the handler itself, right here.

    Attributes:
        name: its name on the wire.
        queue: its queue.
        defaults: the options it is enqueued with.
        timeout_ms: how long a run may take; ``None`` sets no limit.
        secrets: names of payload members that are never shown.
        on_failure: called after a job failed for good.
        retry: what follows a failed attempt, by the class of its error.
        strategy: tells the wait between attempts, instead of a backoff.
        needs: the resources that the handler asks for, by parameter.
    """

    name: str
    queue: str
    defaults: JobOptions
    timeout_ms: int | None
    secrets: frozenset[str]
    on_failure: FailureHook | None
    retry: RetryRules | None = None
    strategy: BackoffStrategy | None = None
    function: Callable[..., Any] = field(repr=False)
    app: App = field(repr=False)
    binder: Binder = field(repr=False)
    needs: dict[str, object] = field(repr=False, default_factory=dict)
    result_type: object = field(repr=False, default=None)

    @classmethod
    def of(cls, function: Callable[..., Any], **values: Any) -> JobDefinition[P, R]:
        """Declare a function.

        Raises:
            ConfigError: its parameters can be filled neither from JSON nor with resources.
        """
        name = values["name"]
        _check_declared(function, **values)
        return cls(
            function=function,
            binder=binder_of(function, name),
            needs=needs_of(function, f"handler of job {name!r}"),
            result_type=get_type_hints(function).get("return"),
            **values,
        )

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Call the handler itself; nothing is enqueued, and no resource is provided."""
        return self.function(*args, **kwargs)

    def options(self, **changes: Unpack[JobChanges]) -> JobDefinition[P, R]:
        """The same job with other options for the next enqueue; see ``JobOptions``.

        Raises:
            ConfigError: an option is wrong.
        """
        try:
            return replace(self, defaults=replace(self.defaults, **changes))
        except TypeError:
            check_option_names(changes)
            raise

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Add a job with these arguments; see ``Queue.add``.

        Raises:
            PayloadError: the arguments do not fit the handler, or JSON cannot hold them.
            StoreUnavailable: the server cannot be reached.
        """
        job = await self.app.queue(self.queue).add_spec(self.spec(*args, **kwargs))
        return cast("Job[R]", replace(job, result_type=self.result_type))

    def enqueue_sync(self, *args: P.args, **kwargs: P.kwargs) -> sync.Job[R]:
        """The blocking twin of ``enqueue``."""
        job = self.app.sync_queue(self.queue).add_spec(self.spec(*args, **kwargs))
        return cast("sync.Job[R]", replace(job, result_type=self.result_type))

    async def schedule(
        self, scheduler_id: str, schedule: Schedule, /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]:
        """Add a job with these arguments again and again; see ``Queue.upsert_scheduler``.

        Doing it again with the same id changes the scheduler, its arguments and options included.

        Args:
            scheduler_id: the scheduler, unique in the job's queue.
            schedule: when its jobs are due.
            args: the handler's arguments.
            kwargs: the same by name.

        Returns:
            The scheduler's next job.

        Raises:
            ConfigError: the schedule is over, or the job has options that a scheduler's jobs
                cannot have, such as ``expires``: take it away by ``options(expires=None)``.
            PayloadError: the arguments do not fit the handler, or JSON cannot hold them.
            StoreUnavailable: the server cannot be reached.
        """
        spec = self.spec(*args, **kwargs)
        job = await self.app.queue(self.queue).upsert_scheduler(
            scheduler_id, schedule, spec.name, spec.data, **_given(spec.options)
        )
        return cast("Job[R]", replace(job, result_type=self.result_type))

    def schedule_sync(
        self, scheduler_id: str, schedule: Schedule, /, *args: P.args, **kwargs: P.kwargs
    ) -> sync.Job[R]:
        """The blocking twin of ``schedule``."""
        spec = self.spec(*args, **kwargs)
        job = self.app.sync_queue(self.queue).upsert_scheduler(
            scheduler_id, schedule, spec.name, spec.data, **_given(spec.options)
        )
        return cast("sync.Job[R]", replace(job, result_type=self.result_type))

    def check(self, data: JsonValue) -> None:
        """Check that a payload fits the handler, as it is checked before a run.

        Raises:
            PayloadError: it does not, with the reason.
        """
        self.binder.unpack(data)

    def node(self, *args: P.args, **kwargs: P.kwargs) -> FlowNode:
        """The job that these arguments make, as a part of a flow.

        ::

            await app.add_flow(assemble.node().with_children(part.node(n=n) for n in range(5)))

        Raises:
            PayloadError: the arguments do not fit the handler.
        """
        spec = self.spec(*args, **kwargs)
        return FlowNode(spec.name, self.queue, data=spec.data, options=spec.options)

    def spec(self, *args: P.args, **kwargs: P.kwargs) -> JobSpec:
        """The job that these arguments make, for ``Queue.add_many``.

        Raises:
            PayloadError: the arguments do not fit the handler.
        """
        return JobSpec(name=self.name, data=self.binder.pack(args, kwargs), options=self.defaults)

    def handler(self, surroundings: Surroundings) -> Handler:
        """The job as the engine runs it.

        Args:
            surroundings: what its worker puts around it.

        Raises:
            ConfigError: it asks for a resource that there is not.
        """
        injection = surroundings.supply.request(self.needs, f"handler of job {self.name!r}")
        invoke = invoker(self.function, self.binder, surroundings.threads, injection)
        return Handler(
            invoke=surroundings.around(invoke),
            timeout_ms=self.timeout_ms,
            on_failure=surroundings.failure_hook(self.on_failure),
            retry=self.retry,
            backoff=self.strategy,
        )


class JobDecorator:
    """What ``App.job(...)`` returns, for type checkers."""

    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> JobDefinition[P, R]: ...

    @overload
    def __call__(self, function: Callable[P, R], /) -> JobDefinition[P, R]: ...

    def __call__(self, function: Any, /) -> Any:
        """Declare the function."""
        raise AssertionError("never called: only its signature is used")


def _check_declared(
    function: object,
    *,
    name: str,
    on_failure: object,
    strategy: object,
    secrets: object,
    **_: object,
) -> None:
    """Refuse what would be found out when a job fails, or never."""
    for what, value in ((f"job {name!r}", function), ("on_failure", on_failure)):
        if value is not None and not callable(value):
            raise ConfigError(f"{what} is {value!r}; it must be a function")
    if strategy is not None and not callable(strategy):
        raise ConfigError(
            f"backoff of job {name!r} is {strategy!r}; it must be a Backoff, such as "
            "exponential('1s'), or a function of (attempt, error)"
        )
    if not isinstance(secrets, Set):  # a text would be taken for the set of its letters
        raise ConfigError(f"secrets of job {name!r} are {secrets!r}; give a set of names")


def _given(options: JobOptions) -> dict[str, Any]:
    """The options that differ from their defaults, by name."""
    values = {item.name: getattr(options, item.name) for item in fields(options)}
    return {name: value for name, value in values.items() if value != getattr(PLAIN_OPTIONS, name)}
