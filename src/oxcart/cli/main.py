"""The commands and their options; what they do is imported when they run."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from oxcart.cli import keys, queues, webhooks
from oxcart.errors import ConfigError, OxcartError, StoreUnavailable

EXIT_FAILED = 1
EXIT_UNREACHABLE = 3
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143
"""Exit codes: 0 done, 1 the work or check failed, 2 wrong usage, 3 no server or wrong settings,
130 interrupted, 143 told to stop before it had begun."""

PORT_OPTION = typer.Option(help="Port of the API; 0 takes a free one.", min=0, max=65_535)

cli = typer.Typer(
    name="oxcart",
    help="Background jobs for Python web applications.",
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@cli.callback()
def options(
    version: Annotated[  # noqa: FBT002  # a flag
        bool, typer.Option("--version", help="Show the version.", is_eager=True)
    ] = False,
) -> None:
    """Background jobs for Python web applications."""
    if version:
        from oxcart import __version__

        typer.echo(__version__)
        raise typer.Exit


@cli.command()
def api(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, PORT_OPTION] = None,
) -> None:
    """Serve the HTTP API until stopped."""
    from oxcart.cli.programs import run_api

    _run(run_api(host=host, port=port))


@cli.command()
def worker(
    app: Annotated[
        str | None,
        typer.Argument(
            help="Your application, as MODULE:ATTRIBUTE; default: the built-in e-mails and exports."
        ),
    ] = None,
    *,
    queues: Annotated[
        list[str] | None,
        typer.Option(
            "--queue",
            "-q",
            help="A queue to serve, as NAME or NAME:CONCURRENCY; may be repeated.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The worker's name in dashboards.")] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            help="In how many processes jobs run; 0: in this one, which nobody watches over; "
            "default: OXCART_PROCESSES, or 1.",
            min=0,
        ),
    ] = None,
    burst: Annotated[
        bool, typer.Option("--burst", help="End when nothing is waiting and nothing is due.")
    ] = False,
    max_jobs: Annotated[
        int | None, typer.Option(help="With --burst: start no more jobs than this.", min=1)
    ] = None,
    max_seconds: Annotated[
        float | None, typer.Option(help="With --burst: start jobs for this long.", min=0.1)
    ] = None,
) -> None:
    """Run jobs until stopped.

    The first Ctrl-C or SIGTERM lets running jobs finish, the second puts them back at once.
    """
    wanted = _parse_queues(queues)
    if burst:
        if processes is not None:
            raise typer.BadParameter("a burst runs in this process", param_hint="--processes")
        from oxcart.burst import BurstLimits
        from oxcart.cli.worker_burst import run_burst

        limits = BurstLimits(max_jobs=max_jobs, max_seconds=max_seconds)
        _run(run_burst(app, wanted, limits, name=name))
        return
    if max_jobs is not None or max_seconds is not None:
        raise typer.BadParameter("they limit a burst; add --burst", param_hint="--max-jobs")
    from oxcart.cli.line import VARIABLE

    if VARIABLE not in os.environ:
        from oxcart.cli.supervisor import plan, supervise

        with _telling_errors():
            planned = plan(app, queues or [], name=name, processes=processes)
        if planned.processes:
            _run(supervise(planned), on=asyncio.run)
            return
    from oxcart.cli import programs

    if app is None:
        _run(programs.run_worker(wanted, name=name))
    else:
        _run(programs.run_app_worker(app, wanted, name=name))


@cli.command("all")
def run_together() -> None:
    """Run API and worker together, as two processes, until stopped."""
    from oxcart.cli.together import run_all

    _run(run_all())


@cli.command()
def dev(
    port: Annotated[int | None, PORT_OPTION] = None,
    sample: Annotated[  # noqa: FBT002  # --sample/--no-sample
        bool, typer.Option(help="Fill an empty development database with sample data.")
    ] = True,
) -> None:
    """Run everything: API, worker, private Valkey, SQLite and a mailbox, until Ctrl-C."""
    from oxcart.cli.dev import run_dev

    _run(run_dev(port=port, with_sample=sample))


@cli.command()
def status(
    app: Annotated[
        str | None,
        typer.Argument(
            help="Your application, as MODULE:ATTRIBUTE; default: the built-in e-mails and exports."
        ),
    ] = None,
    *,
    output: Annotated[str, typer.Option("--output", "-o", help="table or json.")] = "table",
    as_json: Annotated[bool, typer.Option("--json", help="The same as --output json.")] = False,
) -> None:
    """Show how the queues, their workers and the database are.

    Exits 0 when all is healthy, 1 when something is wrong with a queue, and 3 when Redis or the
    database cannot be reached.
    """
    from oxcart.cli.status import show_status

    if output not in ("table", "json"):
        raise typer.BadParameter(f"{output!r} is neither table nor json", param_hint="--output")
    _run(show_status(app, as_json=as_json or output == "json"))


@cli.command()
def migrate(
    *,
    down: Annotated[
        str | None,
        typer.Option(
            metavar="REVISION",
            help="Take back every migration after this one; base: all of them.",
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 when migrations are missing.")
    ] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Change nothing; list the migrations.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --status: print JSON instead of text.")
    ] = False,
) -> None:
    """Bring the database to the schema that this version needs."""
    from oxcart.cli import migrate as command

    if sum((down is not None, check, status)) > 1:
        raise typer.BadParameter("--down, --check and --status exclude one another")
    if as_json and not status:
        raise typer.BadParameter("--json is for --status", param_hint="--json")
    if check:
        _run(command.check_migrations())
    elif status:
        _run(command.show_migrations(as_json=as_json))
    else:
        _run(command.run_migrate(down=down))


@cli.command()
def config(
    *,
    program: Annotated[
        str,
        typer.Option("--for", metavar="COMMAND", help="Check what this command needs, as api."),
    ] = "all",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show the settings, secrets masked, and where each came from; exits 1 when one is wrong."""
    from oxcart.cli.config import show_config

    _run(show_config(program, as_json=as_json))


exports = typer.Typer(no_args_is_help=True, help="Look after finished exports.")
cli.add_typer(exports, name="exports")


@exports.command()
def sweep() -> None:
    """Remove the files of expired exports and of exports whose user was deleted.

    The API and every worker do the same every ten minutes.
    """
    from oxcart.cli.exports import sweep_exports

    _run(sweep_exports())


mail = typer.Typer(help="Preview the e-mails.", no_args_is_help=True)
cli.add_typer(mail, name="mail")


@mail.callback()
def mail_options() -> None:
    """Preview the e-mails."""


@mail.command()
def preview(
    folder: Annotated[Path | None, typer.Argument(help="Default: DATA_DIR/preview.")] = None,
) -> None:
    """Write the four e-mails with example values as .eml, .html and .txt files."""
    from oxcart.cli.mail import preview_mails

    with _telling_errors():
        preview_mails(folder)


@cli.command()
def demo() -> None:
    """Send the e-mails, write the exports and show what was delivered where."""
    from oxcart.cli.demo import run_demo

    _run(run_demo())


@cli.command()
def version() -> None:
    """Show the version."""
    from oxcart import __version__

    typer.echo(__version__)


def main() -> None:
    """Run the command line."""
    # As a container's first process it would never see a SIGTERM that nobody handles: the kernel
    # keeps it back. Programs that run until stopped put a handler of their own in its place.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    from oxcart.cli.process_exit import exit_process

    try:
        cli()
    except SystemExit as end:
        code = _code_of(end)
    # Printed here: threads that are left would keep the interpreter from ending after it.
    except Exception:  # noqa: BLE001
        sys.excepthook(*sys.exc_info())
        code = EXIT_FAILED
    else:
        code = 0
    exit_process(code)


def _parse_queues(given: list[str] | None) -> dict[str, int | None]:
    queues: dict[str, int | None] = {}
    for item in given or []:
        queue, _, places = item.partition(":")
        if places and not places.isdigit():
            raise typer.BadParameter(
                f"{item!r} is not NAME or NAME:CONCURRENCY", param_hint="--queue"
            )
        queues[queue] = int(places) if places else None
    return queues


def _run(
    program: Coroutine[Any, Any, int | None],
    *,
    on: Callable[[Coroutine[Any, Any, int | None]], int | None] | None = None,
) -> None:
    """Run a program, and tell its errors without a traceback.

    Args:
        program: what to run; its result is the exit code.
        on: what runs it; default: uvloop where it is installed.
    """
    from oxcart.cli.process_exit import LoopExit
    from oxcart.observe.sentry import reporting_crashes

    loop_exit = LoopExit(_code_of_error)
    with _telling_errors(), reporting_crashes():
        try:
            code = (on or _on_event_loop)(loop_exit.watch(program))
        finally:
            loop_exit.loop_closed()
    if code:
        sys.exit(code)


def _code_of_error(error: BaseException) -> int:
    """Report the error that ended a program as usual, and return its exit code."""
    from oxcart.observe.sentry import reporting_crashes

    if isinstance(error, asyncio.CancelledError):
        return EXIT_INTERRUPTED
    try:
        with _telling_errors(), reporting_crashes():
            raise error  # noqa: TRY301  # to be handled as where it was raised
    except SystemExit as end:
        return _code_of(end)
    except BaseException:  # noqa: BLE001  # printed, as at the end of the interpreter
        sys.excepthook(*sys.exc_info())
        return EXIT_FAILED


def _code_of(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    typer.echo(end.code, err=True)
    return EXIT_FAILED


@contextmanager
def _telling_errors() -> Iterator[None]:
    try:
        yield
    except* (ConfigError, StoreUnavailable) as group:
        _tell(group, EXIT_UNREACHABLE)
    except* OxcartError as group:
        _tell(group, EXIT_UNREACHABLE if _is_database_away(group) else EXIT_FAILED)
    except* OSError as group:  # a folder that cannot be written, an address that is not ours
        _tell(group, EXIT_FAILED)
    except* KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def _on_event_loop(program: Coroutine[Any, Any, int | None]) -> int | None:
    try:
        import uvloop
    except ImportError:
        return asyncio.run(program)
    return uvloop.run(program)


def _tell(group: BaseExceptionGroup[BaseException], code: int) -> None:
    for error in _leaves(group):
        typer.secho(f"oxcart: {error}", fg=typer.colors.RED, err=True)
    sys.exit(code)


def _is_database_away(group: BaseExceptionGroup[BaseException]) -> bool:
    from oxcart.database.errors import DatabaseUnavailable

    return any(isinstance(error, DatabaseUnavailable) for error in _leaves(group))


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]


cli.add_typer(keys.make_commands(_run), name="keys")
cli.add_typer(webhooks.make_commands(_run), name="webhooks")
queues.add_commands(cli, _run)
