"""``oxcart config``: the settings in effect, secrets masked, and where each came from."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from oxcart._settings.checks import PROGRAMS, Findings, examine
from oxcart._settings.start_mode import without_foreign_mode
from oxcart._settings.values import HIDDEN, shown, variable_in_use
from oxcart.settings import ENVIRONMENT, SECRET_FIELDS

if TYPE_CHECKING:
    from oxcart.settings import Settings

DEFAULT = "default"
WIDE = 10_000
"""A table whose values are to be read by programs as well is never folded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A setting in effect."""

    field: str
    variables: tuple[str, ...]
    """Those that set it; the first that is set and not empty counts."""
    value: str | None
    """Masked, if it is a secret; None: not set, and there is no default."""
    origin: str
    """The variable that it came from, or ``default``."""
    stands_for: str | None
    """What is done instead when there is no value."""


async def show_config(program: str, *, as_json: bool) -> int:
    """Print the settings, what is wrong with them and what is worth knowing.

    Args:
        program: the command whose needs are checked.
        as_json: print JSON instead of a table.

    Returns:
        The exit code: 1 when something is wrong.
    """
    if program not in PROGRAMS:
        names = ", ".join(name for name in PROGRAMS if " " not in name)
        raise typer.BadParameter(f"{program!r} is none of {names}", param_hint="--for")
    findings = examine(PROGRAMS[program])
    rows = _rows(findings)
    if as_json:
        typer.echo(json.dumps(_report(rows, findings), indent=2))
    else:
        _print_table(rows, findings)
    return 1 if findings.problems else 0


def _rows(findings: Findings) -> list[Row]:
    instead = _instead(findings.settings)
    rows = []
    environ = without_foreign_mode(os.environ)
    for field, variables in ENVIRONMENT.items():
        variable = variable_in_use(variables, environ)
        value = getattr(findings.settings, field)
        text = shown(value, is_secret=field in SECRET_FIELDS) or None
        if variable is not None and variable in {item.variable for item in findings.unreadable}:
            raw = environ[variable].strip()
            text = shown(raw, is_secret=field in SECRET_FIELDS)
        rows.append(
            Row(
                field=field,
                variables=variables,
                value=text,
                origin=variable or DEFAULT,
                stands_for=instead.get(field) if text is None else None,
            )
        )
    return rows


def _instead(settings: Settings) -> dict[str, str]:
    """What is used where a setting has no value, as far as that can be said in a word."""
    if settings.is_production:
        return {
            "storage_dir": str(settings.data_dir / "exports"),
            "api_url": settings.base_url,
            "files_url": settings.files_base_url,
        }
    return {
        "redis_url": f"a private Valkey in {settings.data_dir}",
        "database_url": f"a SQLite file in {settings.data_dir}",
        "smtp_host": f"a mailbox folder in {settings.data_dir}",
        "smtp_from": settings.sender,
        "signing_secret": f"made once and kept in {settings.data_dir}",
        "storage_dir": str(settings.data_dir / "exports"),
        "api_url": settings.base_url,
        "files_url": settings.files_base_url,
    }


def _report(rows: list[Row], findings: Findings) -> dict[str, object]:
    return {
        "settings": [
            {
                "setting": row.field,
                "variables": list(row.variables),
                "value": row.value,
                "isSecret": row.value is not None and HIDDEN in row.value,
                "from": row.origin,
                "instead": row.stands_for,
            }
            for row in rows
        ],
        "problems": [
            {"variable": item.variable, "problem": str(item)} for item in findings.problems
        ],
        "notes": list(findings.notes),
    }


def _print_table(rows: list[Row], findings: Findings) -> None:
    is_terminal = Console().is_terminal
    console = Console() if is_terminal else Console(width=WIDE)
    table = Table(box=None, pad_edge=False)
    for heading in ("variable", "value", "from"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        value = Text(row.value) if row.value is not None else _absent(row.stands_for)
        table.add_row(Text(", ".join(row.variables)), value, Text(row.origin))
    console.print(table)
    for note in findings.notes:
        console.print(Text(f"note: {note}"))
    for problem in findings.problems:
        console.print(Text(f"wrong: {problem}", style="red"))


def _absent(stands_for: str | None) -> Text:
    return Text("not set" if stands_for is None else f"not set: {stands_for}", style="dim")
