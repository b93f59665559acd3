"""What Lambda calls: opened at the first call, kept for as long as Lambda keeps the process."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from oxcart.app import App
from oxcart.errors import ConfigError
from oxcart.observe.sentry import flush_reports
from oxcart.serverless.function import Function
from oxcart.serverless.records import LambdaContext
from oxcart.sqs import SqsBroker


class Source(Protocol):
    """Opens the function that a handler calls."""

    def open(self) -> AbstractAsyncContextManager[Function]:
        """Open it; called on the handler's own event loop."""
        ...


class LambdaHandler:
    """A handler for Lambda.

    Between two calls Lambda freezes the process. The event loop stays, and with it the connections
    that the last call left open.

    Args:
        source: opens what is called.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._runner: asyncio.Runner | None = None
        self._opened: AbstractAsyncContextManager[Function] | None = None
        self._function: Function | None = None

    def __call__(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Run what an event brings; see ``Function.call``."""
        if self._runner is None:
            self._runner = asyncio.Runner()
            atexit.register(self.close)
        try:
            return self._runner.run(self._call(event, context))
        finally:
            flush_reports()  # the process is frozen after the call

    def close(self) -> None:
        """Close everything; another call opens it anew."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        atexit.unregister(self.close)
        with runner:
            runner.run(self._close())

    async def _call(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        if self._function is None:
            opened = self._source.open()
            self._function = await opened.__aenter__()
            self._opened = opened
        return await self._function.call(event, context)

    async def _close(self) -> None:
        opened, self._opened, self._function = self._opened, None, None
        if opened is not None:
            await opened.__aexit__(None, None, None)


def make_handler(
    app: App, broker: SqsBroker | None, *, places: Mapping[str, int] | None = None
) -> LambdaHandler:
    """Make a handler for an application's jobs.

    ::

        broker = broker_from_env()
        app = App(broker=broker)
        handler = make_handler(app, broker)

    Args:
        app: whose jobs, declared before the first call.
        broker: where they are, with a dead-letter queue for each queue; the handler of an
            application whose jobs are in Redis is made, and refuses to be called.
        places: how many of each queue's jobs run at a time in one function; default: 10.
    """
    return LambdaHandler(_OfApp(app, broker, places))


class BuiltIn:
    """The built-in e-mails and exports, by the settings.

    Args:
        environ: variables to read instead of ``os.environ``.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = environ

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Function]:
        """Open the system with its way out for mail.

        Raises:
            ConfigError: a setting is wrong or missing.
        """
        # Imported here: an application of the user's own needs neither mail nor database.
        from oxcart._settings.checks import PROGRAMS, examine, refuse_problems
        from oxcart.mail.outgoing import open_transport
        from oxcart.observe.start import observe_jobs, start_observing
        from oxcart.system import open_system

        findings = examine(PROGRAMS["function in Lambda"], self._environ)
        settings = findings.settings
        is_read = "OXCART_BROKER" not in {problem.variable for problem in findings.unreadable}
        # First: without SQS the others would ask for what a function does not need, such as Redis.
        if settings.broker != "sqs" and is_read:
            raise ConfigError(
                f"OXCART_BROKER is {settings.broker!r}, and this function runs jobs of SQS; "
                "set it to sqs"
            )
        refuse_problems(findings)
        start_observing(settings)
        async with open_system(settings) as system, open_transport(settings) as transport:
            observe_jobs(system.app)
            system.email_jobs.transport = transport
            broker = system.broker
            assert isinstance(broker, SqsBroker)  # noqa: S101  # as the settings say
            places = {"email": settings.email_concurrency, "export": settings.export_concurrency}
            function = Function(
                system.app, broker, places=places, on_timer=system.look_after_exports
            )
            try:
                yield await function.open()
            finally:
                await function.close()


class _OfApp:
    """An application of the user's own."""

    def __init__(
        self, app: App, broker: SqsBroker | None, places: Mapping[str, int] | None
    ) -> None:
        self._app = app
        self._broker = broker
        self._places = places

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Function]:
        """Open the application's resources."""
        if self._broker is None:
            raise ConfigError("this application's jobs are in Redis; set OXCART_BROKER to sqs")
        function = Function(self._app, self._broker, places=self._places)
        try:
            yield await function.open()
        finally:
            await function.close()
            await self._app.aclose()
