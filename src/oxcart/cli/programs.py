"""The long-running programs: API and worker.

What only one of them needs is imported when it runs: the worker of an application starts without
the HTTP and SQL libraries.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial

import msgspec

from oxcart import Timeouts
from oxcart.app import AppWorker
from oxcart.cli.lifeline import has_parent, watch_parent
from oxcart.cli.line import ParentLine
from oxcart.cli.loading import load_app
from oxcart.cli.pulse import Pulse, pulsing
from oxcart.cli.start_checks import log_notes, read_settings
from oxcart.observe.start import observe_jobs, start_observing
from oxcart.settings import Settings

log = logging.getLogger("oxcart.cli")

API_COMMAND_TIMEOUT = "2s"
"""Default of the API, shorter than a worker's: a browser is waiting."""
DEFAULT_CONCURRENCY = 10
SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def run_api(*, host: str | None = None, port: int | None = None) -> None:
    """Serve the API, and look after exports that wait for the queue, until a signal."""
    from oxcart.http.app import create_app
    from oxcart.http.connections import ConnectionLimits
    from oxcart.http.server import serve
    from oxcart.system import open_system

    settings = start_program("api")
    if host is not None:  # who may call without a key depends on it
        settings = msgspec.structs.replace(settings, api_host=host)
    timeouts = Timeouts.from_environment(command=API_COMMAND_TIMEOUT)
    stop = asyncio.Event()
    async with (
        pulsing("api", settings) as pulse,
        open_system(settings, timeouts=timeouts) as system,
        system.running_outbox(),
    ):
        observe_jobs(system.app)  # bursts run them here

        def on_stop() -> None:
            pulse.stopping("answering the requests under way")
            stop.set()

        def on_ready(url: str) -> None:
            log.info("api.listening", extra={"url": url})
            pulse.ready(f"listening on {url}", url=url)

        on_stop_signals(on_stop)
        watch_parent(on_stop)
        api = create_app(system)
        await serve(
            api,
            settings.api_host,
            settings.api_port if port is None else port,
            ready=on_ready,
            stop=stop,
            before_stop=api.state.live.aclose,
            grace_seconds=settings.grace_seconds,
            limits=ConnectionLimits(max_connections=settings.max_connections),
        )


async def run_worker(queues: dict[str, int | None], *, name: str | None = None) -> None:
    """Run a worker until a signal; the second signal puts running jobs back at once."""
    from oxcart.system import open_system

    line = ParentLine.take_from(os.environ)
    settings = start_program("worker")
    default = settings.queue_places
    wanted = {
        queue: default.get(queue, 1) if places is None else places
        for queue, places in queues.items()
    }
    async with pulsing("worker", settings, line) as pulse, open_system(settings) as system:
        observe_jobs(system.app)
        worker = system.worker(wanted or default, name=name)
        _look_after(worker, pulse, settings, line)
        pulse.ready(_serving(wanted or default))
        await system.run_worker(worker)


async def run_app_worker(path: str, queues: dict[str, int | None], *, name: str | None) -> None:
    """Run a worker of a user's application until a signal; see ``run_worker``.

    Args:
        path: where the application is, as ``module:attribute``.
        queues: the queues to serve; default: all that have a job.
        name: the worker's name in dashboards.
    """
    line = ParentLine.take_from(os.environ)
    settings = start_program("worker of an application")
    app = load_app(path)
    wanted = {
        queue: DEFAULT_CONCURRENCY if places is None else places for queue, places in queues.items()
    }
    async with pulsing("worker", settings, line) as pulse, app:
        observe_jobs(app)
        worker = app.worker(
            wanted or None,
            name=name,
            grace=timedelta(seconds=settings.grace_seconds),
            metrics=settings.metrics_minutes or None,
        )
        _look_after(worker, pulse, settings, line)
        pulse.ready(_serving(wanted or {queue for queue, _ in app.registry}))
        await worker.run()


def _serving(queues: Iterable[str]) -> str:
    return f"serving {', '.join(sorted(queues))}"


def _look_after(
    worker: AppWorker, pulse: Pulse, settings: Settings, line: ParentLine | None
) -> None:
    """Stop a worker on signals and with its parent, and let the parent guard its jobs."""

    def stop(*, force: bool = False) -> None:
        pulse.stopping(
            "putting running jobs back"
            if force
            else f"letting running jobs finish, for at most {settings.grace_seconds} s"
        )
        worker.stop(force=force)

    if line is not None:
        worker.guardian = line
        worker.loop_reports = line
    on_stop(stop, partial(stop, force=True))


def start_program(program: str) -> Settings:
    """Read the settings, check them for what the program needs, and start logging.

    Args:
        program: one of ``oxcart._settings.checks.PROGRAMS``.

    Raises:
        ConfigError: naming every setting that is wrong or missing.
    """
    settings, notes = read_settings(program)
    start_observing(settings)
    log_notes(notes)
    return settings


def on_stop_signals(action: Callable[[], None]) -> None:
    """Call back on each SIGINT and SIGTERM."""
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, action)


def on_stop(stop: Callable[[], None], hurry: Callable[[], None]) -> None:
    """Call back when the program is to stop, and when it is to do so at once.

    A program that a user or a service manager started is in a hurry from the second signal on. One
    that another program of this command started gets SIGTERM from its parent and, where systemd and
    others signal the whole tree, once more from those: that is one wish, and so is the end of its
    parent. A parent that is in a hurry sends SIGINT; no terminal reaches such a process.

    Args:
        stop: called once or more.
        hurry: called after ``stop``, or instead of it.
    """
    if has_parent():
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stop)
        loop.add_signal_handler(signal.SIGINT, hurry)
        watch_parent(stop)
        return
    is_told = False

    def count() -> None:
        nonlocal is_told
        if is_told:
            hurry()
        else:
            is_told = True
            stop()

    on_stop_signals(count)
