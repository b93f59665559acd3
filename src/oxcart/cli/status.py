"""``oxcart status``: the health report as a table."""

from __future__ import annotations

import json
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from oxcart.app import App
from oxcart.cli.loading import load_app
from oxcart.cli.start_checks import read_settings
from oxcart.database.engine import Database
from oxcart.errors import OxcartError
from oxcart.operations import SystemStatus, get_all_queue_status
from oxcart.sqs.broker import built_in_broker

COLOURS = {"healthy": "green", "degraded": "yellow", "unhealthy": "red"}


async def show_status(path: str | None, *, as_json: bool) -> int:
    """Print how the queues and the database are.

    Args:
        path: a user's application, as ``module:attribute``; its queues are shown, without the
            database. Default: the built-in system.
        as_json: print JSON instead of tables.

    Returns:
        The exit code: 0 when all is healthy, else 1.
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
            status = await get_all_queue_status(app)
            database_error = await _database_error(database)
    if database_error is not None:
        status = replace(status, overall_status="unhealthy")
    if as_json:
        database_report = {} if path else {"database": database_error or "healthy"}
        Console().print_json(json.dumps(status.as_dict() | database_report))
    else:
        _print_table(status, database_error, has_database=path is None)
    return 0 if status.overall_status == "healthy" else 1


async def _database_error(database: Database) -> str | None:
    try:
        await database.ping()
    except OxcartError as error:
        return str(error)
    return None


def _print_table(status: SystemStatus, database_error: str | None, *, has_database: bool) -> None:
    console = Console()
    table = Table(title="queues")
    table.add_column("queue")
    table.add_column("health")
    for heading in ("ready", "active", "delayed", "completed", "failed"):
        table.add_column(heading, justify="right")
    for queue in status.queues:
        counts = queue.counts
        completed = None if status.broker == "sqs" else counts.completed  # SQS deletes those
        numbers = (
            counts.waiting + counts.prioritized, counts.active, counts.delayed, completed,
            counts.failed,
        )  # fmt: skip
        health = "healthy" if queue.is_healthy else "degraded"
        table.add_row(queue.name, _coloured(health), *map(_number, numbers))
    console.print(table)
    broker = "healthy" if status.is_connected else "unhealthy"
    console.print(f"{status.broker:<9} {_coloured(broker)}")
    if has_database:
        console.print(f"database  {_coloured('unhealthy' if database_error else 'healthy')}")
    if database_error:
        console.print(f"          {database_error}", markup=False)
    console.print(f"overall   {_coloured(status.overall_status)}")


def _number(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _coloured(health: str) -> str:
    return f"[{COLOURS[health]}]{health}[/]"
