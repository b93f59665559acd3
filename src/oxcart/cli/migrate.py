"""``oxcart migrate``: the database's schema, forth and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from oxcart.cli.start_checks import read_settings
from oxcart.database.engine import Database
from oxcart.database.migrations.runner import migrations
from oxcart.database.schema import describe, migrate, migrate_down, read_state

if TYPE_CHECKING:
    from oxcart.database.migrations.runner import Migration, SchemaState


async def run_migrate(*, down: str | None) -> None:
    """Run every migration that is missing, or take back those after one.

    Args:
        down: the migration to go back to, or ``base``; None: go forth.
    """
    async with _open_database() as database:
        done = await migrate(database) if down is None else await migrate_down(database, down)
        state = await read_state(database)
    for migration in done:
        typer.echo(f"{'run' if down is None else 'taken back'}: {_spelled(migration)}")
    if down is None:
        typer.echo(describe(state))
    else:
        typer.echo(f"the database is at migration {state.current or 'base'}")


async def check_migrations() -> int:
    """Say where the database stands.

    Returns:
        The exit code: 1 when it is behind.
    """
    async with _open_database() as database:
        state = await read_state(database)
    typer.echo(describe(state))
    return 1 if state.is_behind else 0


async def show_migrations(*, as_json: bool) -> None:
    """List the migrations, and which of them were run."""
    async with _open_database() as database:
        state = await read_state(database)
    if as_json:
        typer.echo(json.dumps(_report(state), indent=2))
        return
    for migration in migrations():
        mark = "pending" if migration in state.pending else "run    "
        typer.echo(f"{mark} {_spelled(migration)}")
    typer.echo(describe(state))


def _open_database() -> Database:
    settings, _ = read_settings("migrate")
    return Database.from_settings(settings)


def _report(state: SchemaState) -> dict[str, object]:
    return {
        "current": state.current,
        "head": state.head,
        "isBehind": state.is_behind,
        "isAhead": state.is_ahead,
        "migrations": [
            {
                "revision": migration.revision,
                "summary": migration.summary,
                "isRun": migration not in state.pending,
            }
            for migration in migrations()
        ],
    }


def _spelled(migration: Migration) -> str:
    return f"{migration.revision} {migration.summary}"
