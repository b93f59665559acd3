"""A declared job: the handler, its options, and the ways to enqueue it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, get_type_hints

from oxcart._engine.context import JobContext
from oxcart._engine.handler import Handler, OnFailure, is_coroutine_function
from oxcart._engine.payload import Binder, binder_of
from oxcart._engine.threads import HandlerThreads
from oxcart._model.job import JobRecord, JobSpec
from oxcart._model.options import JobOptions
from oxcart.job import Job

if TYPE_CHECKING:
    from oxcart.app import App

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDefinition(Generic[P, R]):
    """A declared job. Calling it calls the handler itself, right here.

    Attributes:
        name: its name on the wire.
        queue: its queue.
        defaults: the options it is enqueued with.
        timeout_ms: how long a run may take; ``None`` sets no limit.
        secrets: names of payload members that are never shown.
        on_failure: awaited after a job failed for good.
    """

    name: str
    queue: str
    defaults: JobOptions
    timeout_ms: int | None
    secrets: frozenset[str]
    on_failure: OnFailure | None
    function: Callable[..., Any] = field(repr=False)
    app: App = field(repr=False)
    binder: Binder = field(repr=False)
    result_type: object = field(repr=False, default=None)

    @classmethod
    def of(cls, function: Callable[..., Any], **values: Any) -> JobDefinition[P, R]:
        """Declare a function.

        Raises:
            ConfigError: its parameters cannot be filled from JSON.
        """
        return cls(
            function=function,
            binder=binder_of(function, values["name"]),
            result_type=get_type_hints(function).get("return"),
            **values,
        )

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Call the handler itself; nothing is enqueued."""
        return self.function(*args, **kwargs)

    def options(self, **changes: Any) -> JobDefinition[P, R]:
        """The same job with other options for the next enqueue; see ``JobOptions``.

        Raises:
            ConfigError: an option is wrong.
        """
        return replace(self, defaults=replace(self.defaults, **changes))

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Add a job with these arguments; see ``Queue.add``.

        Raises:
            PayloadError: the arguments do not fit the handler, or JSON cannot hold them.
            StoreUnavailable: the server cannot be reached.
        """
        job = await self.app.queue(self.queue).add_spec(self.spec(*args, **kwargs))
        return cast("Job[R]", replace(job, result_type=self.result_type))

    def enqueue_sync(self, *args: P.args, **kwargs: P.kwargs) -> JobRecord:
        """The blocking twin of ``enqueue``."""
        return self.app.sync_queue(self.queue).add_many([self.spec(*args, **kwargs)])[0]

    def spec(self, *args: P.args, **kwargs: P.kwargs) -> JobSpec:
        """The job that these arguments make, for ``Queue.add_many``.

        Raises:
            PayloadError: the arguments do not fit the handler.
        """
        return JobSpec(name=self.name, data=self.binder.pack(args, kwargs), options=self.defaults)

    def handler(self, threads: HandlerThreads) -> Handler:
        """The job as the engine runs it.

        Args:
            threads: where plain functions run.
        """
        return Handler(
            invoke=self._invoker(threads), timeout_ms=self.timeout_ms, on_failure=self.on_failure
        )

    def _invoker(self, threads: HandlerThreads) -> Callable[[JobContext], Awaitable[object]]:
        function, binder = self.function, self.binder
        if is_coroutine_function(function):

            async def invoke(context: JobContext) -> object:
                args, kwargs = binder.unpack(context.data)
                return await function(*args, **kwargs)

            return invoke

        async def invoke_in_thread(context: JobContext) -> object:
            args, kwargs = binder.unpack(context.data)
            return await threads.run(lambda: function(*args, **kwargs))

        return invoke_in_thread
