"""``oxcart exports``: what operators do with exports."""

from __future__ import annotations

import typer

from oxcart.cli.programs import start_program
from oxcart.system import open_sweeper


async def sweep_exports() -> None:
    """Remove the files of expired exports and of deleted rows, and print the counts."""
    settings = start_program("exports")
    async with open_sweeper(settings) as sweeper:
        report = await sweeper.sweep()
    typer.echo(
        f"{report.expired_count} exports expired, {report.orphan_count} files without an export "
        f"removed, {report.key_count} idempotency keys removed"
    )
