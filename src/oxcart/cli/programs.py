"""The long-running programs: API and worker."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from datetime import timedelta

from oxcart import Timeouts
from oxcart.app import AppWorker
from oxcart.cli.lifeline import watch_parent
from oxcart.cli.loading import load_app
from oxcart.cli.start_checks import check_start
from oxcart.http.app import create_app
from oxcart.http.server import serve
from oxcart.observe.logs import configure_logs
from oxcart.settings import Settings
from oxcart.system import open_system

log = logging.getLogger("oxcart.cli")

API_TIMEOUTS = Timeouts(command="2s")
"""Shorter than a worker's: somebody's browser is waiting."""
DEFAULT_CONCURRENCY = 10
SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def run_api(*, host: str | None = None, port: int | None = None) -> None:
    """Serve the API, and look after exports that wait for the queue, until a signal."""
    settings = start_program()
    check_start(settings, serves_http=True)
    stop = asyncio.Event()
    on_stop_signals(stop.set)
    watch_parent(stop.set)
    async with (
        open_system(settings, timeouts=API_TIMEOUTS) as system,
        system.running_outbox(),
    ):
        await serve(
            create_app(system),
            host or settings.api_host,
            settings.api_port if port is None else port,
            ready=lambda url: log.info("api.listening on %s", url),
            stop=stop,
            grace_seconds=settings.grace_seconds,
        )


async def run_worker(queues: dict[str, int | None], *, name: str | None = None) -> None:
    """Run a worker until a signal; the second signal puts running jobs back at once."""
    settings = start_program()
    default = {"email": settings.email_concurrency, "export": settings.export_concurrency}
    check_start(settings, sends_mail=True)
    wanted = {
        queue: default.get(queue, 1) if places is None else places
        for queue, places in queues.items()
    }
    async with open_system(settings) as system:
        worker = system.worker(wanted or default, name=name)
        _stop_on_signals(worker)
        await system.run_worker(worker)


async def run_app_worker(path: str, queues: dict[str, int | None], *, name: str | None) -> None:
    """Run a worker of a user's application until a signal; see ``run_worker``.

    Args:
        path: where the application is, as ``module:attribute``.
        queues: the queues to serve; default: all that have a job.
        name: the worker's name in dashboards.
    """
    settings = start_program()
    app = load_app(path)
    wanted = {
        queue: DEFAULT_CONCURRENCY if places is None else places for queue, places in queues.items()
    }
    async with app:
        worker = app.worker(
            wanted or None, name=name, grace=timedelta(seconds=settings.grace_seconds)
        )
        _stop_on_signals(worker)
        await worker.run()


def _stop_on_signals(worker: AppWorker) -> None:
    signals = 0

    def stop() -> None:
        nonlocal signals
        signals += 1
        worker.stop(force=signals > 1)

    on_stop_signals(stop)
    watch_parent(stop)


def start_program() -> Settings:
    """Read the settings and start logging.

    Raises:
        ConfigError: naming every wrong setting.
    """
    settings = Settings.from_env()
    configure_logs(level=settings.log_level, as_json=settings.is_production)
    return settings


def on_stop_signals(action: Callable[[], None]) -> None:
    """Call back on each SIGINT and SIGTERM."""
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, action)
