"""``oxcart worker --burst``: run what is waiting, and end."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import typer

from oxcart.app import AppWorker
from oxcart.burst import Burst, BurstLimits, BurstReport
from oxcart.cli.loading import load_app
from oxcart.cli.programs import DEFAULT_CONCURRENCY, on_stop_signals, start_program
from oxcart.observe.start import observe_jobs
from oxcart.system import open_system

SHOWN_REASONS = 5
"""How many reasons why jobs were not run are printed, the most frequent ones."""


async def run_burst(
    path: str | None, queues: dict[str, int | None], limits: BurstLimits, *, name: str | None
) -> int:
    """Run what is waiting, and print what was done.

    Args:
        path: where the application is, as ``module:attribute``; the built-in one without it.
        queues: the queues to serve; default: all that have a job.
        limits: when to end before they are empty.
        name: the worker's name in dashboards.

    Returns:
        The exit code: 1 if jobs were not run, else 0.
    """
    if path is None:
        report = await _run_built_in(queues, limits, name=name)
    else:
        report = await _run_app(path, queues, limits, name=name)
    not_run = f", {len(report.not_run)} not run" if report.not_run else ""
    typer.echo(
        f"{report.started_count} jobs: {report.completed_count} completed, "
        f"{report.failed_count} failed attempts, {report.put_back_count} put back{not_run}; "
        f"ended: {report.ended.value}"
    )
    reasons = Counter(report.not_run.values())
    for reason, count in reasons.most_common(SHOWN_REASONS):
        typer.echo(f"  {count} not run: {reason}")
    if len(reasons) > SHOWN_REASONS:
        typer.echo(f"  and {len(reasons) - SHOWN_REASONS} other reasons; the log has them all")
    return 1 if report.not_run else 0


async def _run_built_in(
    queues: dict[str, int | None], limits: BurstLimits, *, name: str | None
) -> BurstReport:
    settings = start_program("worker")
    default = settings.queue_places
    wanted = {
        queue: default.get(queue, 1) if places is None else places
        for queue, places in (queues or dict.fromkeys(default)).items()
    }
    async with open_system(settings) as system:
        observe_jobs(system.app)
        burst = Burst(system.app, list(wanted), limits)
        worker = system.worker(wanted, name=name, middlewares=[burst.around])
        _stop_on_signals(worker)
        # Nobody else may do it: there need not be a program that is always there.
        await system.look_after_exports()
        return await burst.run(worker, system.run_worker)


async def _run_app(
    path: str, queues: dict[str, int | None], limits: BurstLimits, *, name: str | None
) -> BurstReport:
    settings = start_program("worker of an application")
    app = load_app(path)
    declared = dict.fromkeys(sorted({queue for queue, _ in app.registry}))
    wanted = {
        queue: DEFAULT_CONCURRENCY if places is None else places
        for queue, places in (queues or declared).items()
    }
    async with app:
        observe_jobs(app)
        burst = Burst(app, list(wanted), limits)
        worker = app.worker(
            wanted,
            name=name,
            grace=timedelta(seconds=settings.grace_seconds),
            metrics=settings.metrics_minutes or None,
            middlewares=[burst.around],
        )
        _stop_on_signals(worker)
        return await burst.run(worker)


def _stop_on_signals(worker: AppWorker) -> None:
    signals = 0

    def stop() -> None:
        nonlocal signals
        signals += 1
        worker.stop(force=signals > 1)

    on_stop_signals(stop)
