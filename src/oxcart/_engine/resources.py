"""Resources: what handlers are given by the worker, opened before they need it and closed after.

A resource is known by the type that it yields. The ones of a worker are opened before it takes
jobs and closed after its last job ended; those of a job are opened before each attempt and closed
after it. What a resource asks for itself is opened before it and closed after it.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, get_args, get_origin

from oxcart._engine.context import JobContext
from oxcart._engine.provided import hints_of, needs_of
from oxcart._engine.threads import HandlerThreads
from oxcart.errors import ConfigError, ResourceError

log = logging.getLogger("oxcart.worker")

Scope = Literal["worker", "job"]
"""How long a resource is open: as long as its worker runs, or for one attempt of one job."""

_Manager = AbstractAsyncContextManager[Any, Any]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Resource:
    """A declared resource.

    Attributes:
        name: the name of its function.
        kind: the type that it yields, by which it is asked for.
        scope: how long it is open.
        open: makes its context manager.
        is_async: whether that is an asynchronous one; others are entered and left in a thread.
        needs: the resources that it asks for itself, by parameter.
    """

    name: str
    kind: object
    scope: Scope
    open: Callable[..., Any]
    is_async: bool
    needs: Mapping[str, object]

    @classmethod
    def of(cls, function: Callable[..., Any], scope: Scope) -> Resource:
        """Read a declaration.

        Raises:
            ConfigError: the function does not say what it yields, or nobody fills a parameter.
        """
        name = getattr(function, "__name__", repr(function))
        who = f"resource {name!r}"
        if scope not in get_args(Scope):
            raise ConfigError(f"{who} has scope {scope!r}; it must be 'worker' or 'job'")
        opener, is_async = _opener(function, who)
        needs = needs_of(function, who)
        for parameter in inspect.signature(function).parameters.values():
            if parameter.name not in needs and parameter.default is inspect.Parameter.empty:
                raise ConfigError(f"{who}: nobody fills its parameter {parameter.name!r}")
        return cls(
            name=name,
            kind=_yielded(function, who),
            scope=scope,
            open=opener,
            is_async=is_async,
            needs=needs,
        )


class Registry:
    """The declared resources of an application, by what they yield."""

    def __init__(self) -> None:
        self._by_kind: dict[object, Resource] = {}

    def add(self, resource: Resource) -> None:
        """Declare one.

        Raises:
            ConfigError: there is one that yields this type already.
        """
        other = self._by_kind.get(resource.kind)
        if other is not None or resource.kind is JobContext:
            raise ConfigError(
                f"resource {resource.name!r} yields {_shown(resource.kind)}, "
                f"as {repr(other.name) if other else 'the worker'} does already; "
                "tell two of a type apart with Annotated or NewType"
            )
        self._by_kind[resource.kind] = resource

    def find(self, kind: object, who: str) -> Resource:
        """The resource that yields a type.

        Raises:
            ConfigError: there is none.
        """
        try:
            return self._by_kind[kind]
        except KeyError:
            known = ", ".join(_shown(known) for known in self._by_kind) or "none"
            raise ConfigError(
                f"{who} asks for a resource of type {_shown(kind)}, "
                f"which no @app.resource yields (there are: {known})"
            ) from None


class Supply:
    """The resources of one running worker.

    Args:
        registry: what is declared.
        threads: where plain resources are opened and closed.
    """

    def __init__(self, registry: Registry, threads: HandlerThreads) -> None:
        self._registry = registry
        self._threads = threads
        self._shared: list[Resource] = []
        self._opened: list[tuple[Resource, _Manager]] = []
        self._values: dict[object, Any] = {}

    def request(self, needs: Mapping[str, object], who: str) -> Injection | None:
        """See to it that a handler gets what it asks for; nothing if it asks for nothing.

        Raises:
            ConfigError: a resource is missing, asks for itself, or outlives one that it asks for.
        """
        if not needs:
            return None
        per_job: list[Resource] = []
        self._plan(needs.values(), who, (), per_job)
        return Injection(self, needs, tuple(per_job))

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be opened when the worker starts."""
        return not self._shared

    async def open(self) -> None:
        """Open the worker's resources, each after those that it asks for.

        Raises:
            ResourceError: one could not be opened; ``close`` closes those before it.
        """
        for resource in self._shared:
            log.info("worker.opening_resource resource=%s", resource.name)
            manager = self.manager(resource, self._values)
            try:
                value = await manager.__aenter__()
            # Whatever it is, the worker cannot run: say which resource it was.
            except Exception as error:
                raise ResourceError(resource.name, error) from error
            self._opened.append((resource, manager))
            self._values[resource.kind] = value

    async def close(self) -> None:
        """Close what was opened, the last first. One that fails is logged; the others follow."""
        while self._opened:
            resource, manager = self._opened.pop()
            try:
                await manager.__aexit__(None, None, None)
            # The jobs are over: nothing is left to fail but the log's reader must know.
            except Exception:
                log.exception("worker.resource_not_closed resource=%s", resource.name)
        self._values.clear()

    def values_for(self, job: JobContext) -> dict[object, Any]:
        """The worker's resources, and the job itself, by type."""
        return {JobContext: job, **self._values}

    def manager(self, resource: Resource, values: Mapping[object, Any]) -> _Manager:
        """The context manager that opens and closes a resource."""
        given = {name: values[kind] for name, kind in resource.needs.items()}
        if resource.is_async:
            manager: _Manager = resource.open(**given)
            return manager
        return _InThread(lambda: resource.open(**given), self._threads)

    def _plan(
        self,
        kinds: Iterable[object],
        who: str,
        above: tuple[Resource, ...],
        per_job: list[Resource],
    ) -> None:
        outlives_jobs = bool(above) and above[-1].scope == "worker"
        for kind in kinds:
            resource = None if kind is JobContext else self._registry.find(kind, who)
            if outlives_jobs and (resource is None or resource.scope == "job"):
                raise ConfigError(f"{who} is open longer than {_shown(kind)}, which it asks for")
            if resource is None:
                continue
            if resource in above:
                raise ConfigError(f"{who} asks for itself: {_path([*above, resource])}")
            name = f"resource {resource.name!r}"
            self._plan(resource.needs.values(), name, (*above, resource), per_job)
            order = self._shared if resource.scope == "worker" else per_job
            if resource not in order:
                order.append(resource)


@dataclass(frozen=True, slots=True)
class Injection:
    """What one handler is given.

    Attributes:
        supply: where it comes from.
        needs: the type of each parameter.
        per_job: what is opened for each attempt, in this order.
    """

    supply: Supply
    needs: Mapping[str, object]
    per_job: tuple[Resource, ...]

    def shared(self, job: JobContext) -> dict[str, Any]:
        """The handler's arguments, if none is opened for each attempt."""
        return self._arguments(self.supply.values_for(job))

    async def opened(self, job: JobContext, stack: AsyncExitStack) -> dict[str, Any]:
        """The handler's arguments, those of the job opened on a stack."""
        values = self.supply.values_for(job)
        for resource in self.per_job:
            manager = self.supply.manager(resource, values)
            values[resource.kind] = await stack.enter_async_context(manager)
        return self._arguments(values)

    def _arguments(self, values: Mapping[object, Any]) -> dict[str, Any]:
        return {name: values[kind] for name, kind in self.needs.items()}


class _InThread(AbstractAsyncContextManager[Any, bool | None]):
    """A plain context manager, entered and left in threads so that it may block."""

    def __init__(self, make: Callable[[], Any], threads: HandlerThreads) -> None:
        self._make = make
        self._threads = threads
        self._manager: AbstractContextManager[Any, bool | None] | None = None

    async def __aenter__(self) -> Any:
        try:
            return await self._threads.run(self._enter)
        except BaseException as error:
            # It may have been opened while its job was being cancelled.
            await self.__aexit__(type(error), error, error.__traceback__)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        manager, self._manager = self._manager, None
        if manager is None:
            return False
        return bool(await self._threads.run(lambda: manager.__exit__(kind, error, trace)))

    def _enter(self) -> object:
        manager = self._make()
        value = manager.__enter__()
        self._manager = manager
        return value


def _opener(function: Callable[..., Any], who: str) -> tuple[Callable[..., Any], bool]:
    """What makes the context manager, and whether it is an asynchronous one."""
    if inspect.isasyncgenfunction(function):
        return contextlib.asynccontextmanager(function), True
    if inspect.isgeneratorfunction(function):
        return contextlib.contextmanager(function), False
    decorated = inspect.unwrap(function)
    origin = get_origin(hints_of(function, who).get("return"))
    if inspect.isasyncgenfunction(decorated) or origin is AbstractAsyncContextManager:
        return function, True
    if inspect.isgeneratorfunction(decorated) or origin is AbstractContextManager:
        return function, False
    raise ConfigError(
        f"{who} must yield what it opens, or give a context manager: "
        "async def or def with a yield, annotated -> AsyncIterator[Thing] or -> Iterator[Thing]"
    )


def _yielded(function: Callable[..., Any], who: str) -> object:
    kinds = get_args(hints_of(function, who).get("return"))
    if not kinds:
        raise ConfigError(
            f"{who} does not say what it yields; annotate it "
            "-> AsyncIterator[Thing] or -> Iterator[Thing]"
        )
    return kinds[0]


def _shown(kind: object) -> str:
    return kind.__qualname__ if isinstance(kind, type) else repr(kind)


def _path(resources: Iterable[Resource]) -> str:
    return " -> ".join(resource.name for resource in resources)
