"""``oxcart retry``, ``clean``, ``pause`` and ``resume``: an operator's commands for queues."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from oxcart.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from typing import Any

    from oxcart.app import App
    from oxcart.operations import CleanReport

    Run = Callable[[Coroutine[Any, Any, int | None]], None]

QUEUE = Annotated[str, typer.Argument(help="The queue, as email.")]
APP = Annotated[
    str | None,
    typer.Option("--app", help="Your application, as MODULE:ATTRIBUTE; default: the settings."),
]
JSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_commands(cli: typer.Typer, run: Run) -> None:
    """Add the commands to the command line.

    Args:
        cli: the command line.
        run: runs a program and reports its errors.
    """

    @cli.command()
    def retry(
        queue: QUEUE,
        *,
        jobs: Annotated[
            list[str] | None, typer.Option("--job", help="Only this job; may be repeated.")
        ] = None,
        limit: Annotated[
            int | None, typer.Option(help="At most so many, the earliest failed first.", min=1)
        ] = None,
        app: APP = None,
        as_json: JSON = False,
    ) -> None:
        """Put the failed jobs of a queue back to be run; each runs once more."""
        if jobs and limit is not None:
            raise typer.BadParameter("--job and --limit exclude one another")
        run(retry_jobs(queue, jobs or [], limit=limit, app=app, as_json=as_json))

    @cli.command()
    def clean(
        queues: Annotated[
            list[str] | None,
            typer.Argument(help="The queues; default: the built-in ones, or the application's."),
        ] = None,
        *,
        completed: Annotated[
            str, typer.Option(metavar="AGE", help="Remove jobs that completed so long ago.")
        ] = "1d",
        failed: Annotated[
            str, typer.Option(metavar="AGE", help="Remove jobs that failed so long ago.")
        ] = "7d",
        app: APP = None,
        as_json: JSON = False,
    ) -> None:
        """Remove old completed and failed jobs, at most 10,000 of each state and queue."""
        program = clean_queues(
            queues or [], completed=completed, failed=failed, app=app, as_json=as_json
        )
        run(program)

    @cli.command()
    def pause(queue: QUEUE, *, app: APP = None) -> None:
        """Stop the jobs of a queue from being taken, by any worker; running jobs go on."""
        run(set_paused(queue, is_paused=True, app=app))

    @cli.command()
    def resume(queue: QUEUE, *, app: APP = None) -> None:
        """Let the jobs of a paused queue be taken again."""
        run(set_paused(queue, is_paused=False, app=app))


async def retry_jobs(
    queue: str, jobs: list[str], *, limit: int | None, app: str | None, as_json: bool
) -> None:
    """Put failed jobs back and print how many."""
    from oxcart.operations import retry_failed_jobs, retry_job

    async with _opened(app) as open_app:
        if jobs:
            for job_id in jobs:
                await retry_job(queue, job_id, open_app)
            count = len(jobs)
        else:
            count = await retry_failed_jobs(queue, open_app, limit=limit)
    if as_json:
        typer.echo(json.dumps({"queue": queue, "retriedCount": count}))
    else:
        typer.echo(f"{queue}: {_jobs(count, 'failed')} put back to be run")


async def clean_queues(
    queues: list[str], *, completed: str, failed: str, app: str | None, as_json: bool
) -> None:
    """Remove old finished jobs and print how many."""
    from oxcart.operations import QUEUES, cleanup_old_jobs

    reports: dict[str, CleanReport] = {}
    async with _opened(app) as open_app:
        declared = sorted({queue for queue, _ in open_app.registry}) or list(QUEUES)
        for queue in queues or declared:
            reports[queue] = await cleanup_old_jobs(
                open_app, queues=[queue], completed_age=completed, failed_age=failed
            )
    if as_json:
        typer.echo(json.dumps([_as_dict(queue, report) for queue, report in reports.items()]))
        return
    for queue, report in reports.items():
        removed = f"{report.completed_count:,} completed and {_jobs(report.failed_count, 'failed')}"
        typer.echo(f"{queue}: {removed} removed")


async def set_paused(queue: str, *, is_paused: bool, app: str | None) -> None:
    """Pause or resume a queue."""
    from oxcart.operations import pause_queue, resume_queue

    async with _opened(app) as open_app:
        await (pause_queue if is_paused else resume_queue)(queue, open_app)
    typer.echo(f"{queue}: {'paused' if is_paused else 'resumed'}")


@asynccontextmanager
async def _opened(path: str | None) -> AsyncIterator[App]:
    """A user's application, or one with the settings' server and no jobs.

    Raises:
        ConfigError: the jobs are in SQS.
    """
    from oxcart.app import App
    from oxcart.cli.loading import load_app
    from oxcart.cli.start_checks import read_settings

    if path is not None:
        read_settings("worker of an application")
        async with load_app(path) as app:
            yield app
        return
    settings, _ = read_settings("queues")
    if settings.broker == "sqs":
        raise ConfigError(
            "OXCART_BROKER is sqs: use the tools of SQS, such as a redrive of the dead-letter queue"
        )
    async with App(
        settings.redis_url, prefix=settings.prefix, data_dir=settings.data_dir
    ) as built_in:
        yield built_in


def _as_dict(queue: str, report: CleanReport) -> dict[str, object]:
    return {
        "queue": queue,
        "completedCount": report.completed_count,
        "failedCount": report.failed_count,
    }


def _jobs(count: int, kind: str) -> str:
    return f"{count:,} {kind} job{'' if count == 1 else 's'}"
