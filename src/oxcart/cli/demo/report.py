"""The demo's closing tables: what was delivered where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from oxcart.cli.demo.exports import DeliveredExport
from oxcart.cli.demo.mails import DeliveredMail
from oxcart.cli.demo.retries import RetriedJob


def print_mails(console: Console, mails: Sequence[DeliveredMail]) -> None:
    """Show where the mails went."""
    table = _table("e-mails delivered", mails[0].path.parent, "e-mail", "to", "ms", "file", "")
    table.columns[2].justify = "right"
    for mail in mails:
        table.add_row(
            escape(mail.subject),
            mail.recipient,
            f"{mail.milliseconds:.0f}",
            _link(mail.path),
            _mark(is_good=mail.is_expected),
        )
    console.print(table)


def print_exports(console: Console, exports: Sequence[DeliveredExport]) -> None:
    """Show what the files hold."""
    folder = exports[0].path.parent
    table = _table("exports downloaded", folder, "export", "rows", "bytes", "s", "file", "")
    for column in table.columns[1:4]:
        column.justify = "right"
    for export in exports:
        table.add_row(
            export.type,
            f"{export.rows:,}",
            f"{export.size_bytes:,}",
            f"{export.seconds:.2f}",
            _link(export.path),
            _mark(is_good=export.is_expected),
        )
    console.print(table)


def print_retries(console: Console, jobs: Sequence[RetriedJob]) -> None:
    """Show what became of the jobs that failed at first."""
    table = Table("job", "ended", "attempts", "says", "", title="retries", title_justify="left")
    table.columns[2].justify = "right"
    for job in jobs:
        colour = "green" if job.state == "completed" else "yellow"
        table.add_row(
            job.name,
            f"[{colour}]{job.state}[/]",
            str(job.attempts),
            escape(job.says),
            _mark(is_good=job.is_expected),
        )
    console.print(table)


def _table(title: str, folder: Path, *headings: str) -> Table:
    shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    return Table(*headings, title=f"{title} to {shown}", title_justify="left")


def _link(path: Path) -> str:
    return f"[link={path.resolve().as_uri()}]{escape(path.name)}[/link]"


def _mark(*, is_good: bool) -> str:
    return "[green]ok[/]" if is_good else "[red]NOT AS EXPECTED[/]"
