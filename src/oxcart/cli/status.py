"""``oxcart status``: the queues, their workers and their servers, as a table or as JSON."""

from __future__ import annotations

import json

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from oxcart.app import App
from oxcart.cli.loading import load_app
from oxcart.cli.start_checks import read_settings
from oxcart.database.engine import Database
from oxcart.errors import OxcartError
from oxcart.operations import SystemStatus, get_all_queue_status
from oxcart.queue_status import QueueStatus, age_text
from oxcart.sqs.broker import built_in_broker

# Of the sixteen colours that a terminal's theme defines: legible on dark and on light.
COLOURS = {"healthy": "green", "degraded": "yellow", "unhealthy": "red"}
DEGRADED_CODE = 1
UNREACHABLE_CODE = 3


async def show_status(path: str | None, *, as_json: bool) -> int:
    """Print how the queues and the database are.

    Args:
        path: a user's application, as ``module:attribute``; its queues are shown, without the
            database. Default: the built-in system.
        as_json: print JSON instead of tables.

    Returns:
        The exit code: 0 when all is healthy, 1 when something is wrong with a queue, 3 when Redis
        (or SQS) or the database cannot be reached.
    """
    settings, _ = read_settings("status" if path is None else "worker of an application")
    database_error: str | None = None
    if path is not None:
        app = load_app(path)
        names = sorted({queue for queue, _ in app.registry})
        async with app:
            status = await get_all_queue_status(app, queues=names)
    else:
        app = App(
            settings.redis_url,
            prefix=settings.prefix,
            data_dir=settings.data_dir,
            broker=built_in_broker(settings),
        )
        async with app, Database.from_settings(settings) as database:
            status = await get_all_queue_status(app, queues=tuple(settings.queue_places))
            database_error = await _database_error(database)
    overall = status.overall_status if database_error is None else "unhealthy"
    if as_json:
        report = status.as_dict() | {"overallStatus": overall}
        if path is None:
            report["database"] = database_error or "healthy"
        typer.echo(json.dumps(report, indent=2))
    else:
        console = Console(highlight=False, soft_wrap=False)
        _print_queues(console, status)
        _print_servers(console, status, database_error, overall, has_database=path is None)
    if overall == "unhealthy":
        return UNREACHABLE_CODE
    return 0 if overall == "healthy" else DEGRADED_CODE


async def _database_error(database: Database) -> str | None:
    try:
        await database.ping()
    except OxcartError as error:
        return str(error)
    return None


def _print_queues(console: Console, status: SystemStatus) -> None:
    if not status.queues:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("queue", overflow="fold")
    table.add_column("health", no_wrap=True)
    for heading in ("ready", "active", "delayed", "failed", "done", "oldest", "workers"):
        table.add_column(heading, justify="right", no_wrap=True)
    for queue in status.queues:
        table.add_row(queue.name, _coloured(_health_of(queue)), *_cells(queue, status.broker))
    console.print(table)
    console.print()
    for queue in status.queues:
        for problem in queue.problems:
            console.print(Text(f"{queue.name}: {problem.text}"))
    if any(queue.problems for queue in status.queues):
        console.print()


def _cells(queue: QueueStatus, broker: str) -> tuple[str, ...]:
    counts = queue.counts
    numbers = [f"{count:,}" for count in (queue.ready_count, counts.active, counts.delayed)]
    recent = f" (+{queue.failed_lately_count:,})" if queue.failed_lately_count else ""
    if broker == "sqs":  # SQS deletes completed jobs, and knows no workers
        return (*numbers, f"{counts.failed:,}", "", "", "")
    return (
        *numbers,
        f"{counts.failed:,}{recent}",
        f"{counts.completed:,}",
        "-" if queue.oldest_waiting_s is None else age_text(queue.oldest_waiting_s),
        "?" if queue.workers is None else f"{len(queue.workers)}",
    )


def _health_of(queue: QueueStatus) -> str:
    if queue.is_paused:
        return "paused"
    return "healthy" if queue.is_healthy else "degraded"


def _print_servers(
    console: Console,
    status: SystemStatus,
    database_error: str | None,
    overall: str,
    *,
    has_database: bool,
) -> None:
    broker = "healthy" if status.is_connected else "unhealthy"
    _print_line(console, status.broker, broker, status.url, status.error)
    if has_database:
        health = "unhealthy" if database_error else "healthy"
        _print_line(console, "database", health, None, database_error)
    _print_line(console, "overall", overall, None, None)


def _print_line(
    console: Console, name: str, health: str, place: str | None, error: str | None
) -> None:
    console.print(f"{name:<9} ", _coloured(health), f"  {place}" if place else "", sep="")
    if error:
        console.print(Text(f"          {error}"))


def _coloured(health: str) -> Text:
    return Text(health, style=COLOURS.get(health, "yellow"))
