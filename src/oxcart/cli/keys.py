"""``oxcart keys``: makes, lists and revokes API keys."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from oxcart._auth.api_keys import Scope
from oxcart._model.duration import to_ms
from oxcart.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from typing import Any

    from oxcart.database.api_keys import ApiKey
    from oxcart.database.engine import Database

    Run = Callable[[Coroutine[Any, Any, int | None]], None]

WIDE = 10_000
"""A table that programs read is never folded."""
EXIT_FAILED = 1
MAX_NAME_CHARS = 100
MAX_EXPIRY = timedelta(days=3650)


def make_commands(run: Run) -> typer.Typer:
    """Return the commands.

    Args:
        run: runs a program and reports its errors.
    """
    keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")

    @keys.command()
    def create(
        name: Annotated[str, typer.Argument(help="The program or person that gets the key.")],
        *,
        scope: Annotated[
            list[Scope], typer.Option("--scope", help="What the key may do; may be repeated.")
        ],
        expires: Annotated[
            str | None, typer.Option(help="For how long it is valid, as 90d; default: for good.")
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    ) -> None:
        """Make an API key and show it, once."""
        run(create_key(name, scope, expires=expires, as_json=as_json))

    @keys.command("list")
    def list_all(
        *, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
    ) -> None:
        """List the API keys, without the keys themselves."""
        run(list_keys(as_json=as_json))

    @keys.command()
    def revoke(key_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
        """Revoke an API key for good; requests with it are refused at once."""
        run(revoke_key(key_id))

    return keys


async def create_key(name: str, scopes: list[Scope], *, expires: str | None, as_json: bool) -> None:
    """Make a key and print it.

    Raises:
        typer.BadParameter: a name that is empty, too long or not printable, or an expiry that is
            not a duration.
    """
    from oxcart.database.api_keys import ApiKeys

    if not 0 < len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise typer.BadParameter(
            f"it must be printable text of 1 to {MAX_NAME_CHARS} characters", param_hint="NAME"
        )
    lifetime = None if expires is None else _lifetime(expires)
    expires_at = None if lifetime is None else datetime.now(UTC) + lifetime
    async with _open_database() as database:
        key, text = await ApiKeys(database).create(name, scopes, expires_at=expires_at)
    if as_json:
        typer.echo(json.dumps({**_shown(key), "key": text}, indent=2))
        return
    typer.echo(text)
    until = "for good" if key.expires_at is None else f"until {_instant(key.expires_at)}"
    typer.echo(
        f"key {key.id} ({_scopes(key)}) for {name!r}, valid {until}; only its hash is stored, so "
        "it cannot be shown again",
        err=True,
    )


async def list_keys(*, as_json: bool) -> None:
    """Print the keys."""
    from oxcart.database.api_keys import ApiKeys

    async with _open_database() as database:
        found = await ApiKeys(database).list_all()
    if as_json:
        typer.echo(json.dumps([_shown(key) for key in found], indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("id", "name", "scopes", "state", "created", "expires", "last used"):
        table.add_column(heading)
    for key in found:
        instants = (key.created_at, key.expires_at, key.last_used_at)
        table.add_row(key.id, key.name, _scopes(key), _state(key), *map(_instant, instants))
    console = Console() if Console().is_terminal else Console(width=WIDE)
    console.print(table)


async def revoke_key(key_id: str) -> int:
    """Revoke a key.

    Returns:
        The exit code: 1 if no key has that id.
    """
    from oxcart.database.api_keys import ApiKeys

    async with _open_database() as database:
        key = await ApiKeys(database).revoke(key_id)
    if key is None or key.revoked_at is None:
        typer.echo(f"no key has the id {key_id!r}; oxcart keys list shows the ids", err=True)
        return EXIT_FAILED
    typer.echo(f"key {key.id} for {key.name!r} is revoked since {_instant(key.revoked_at)}")
    return 0


@asynccontextmanager
async def _open_database() -> AsyncIterator[Database]:
    from oxcart.cli.start_checks import read_settings
    from oxcart.database.engine import open_database

    settings, _ = read_settings("keys")
    async with open_database(settings) as database:
        yield database


def _lifetime(text: str) -> timedelta:
    try:
        lifetime = timedelta(milliseconds=to_ms(text, what="--expires"))
    except ConfigError as error:
        raise typer.BadParameter(str(error), param_hint="--expires") from error
    if not timedelta() < lifetime <= MAX_EXPIRY:
        raise typer.BadParameter(
            f"{text!r} is not between 1ms and {MAX_EXPIRY.days}d", param_hint="--expires"
        )
    return lifetime


def _shown(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "state": _state(key),
        "createdAt": _instant(key.created_at),
        "expiresAt": _instant(key.expires_at) or None,
        "lastUsedAt": _instant(key.last_used_at) or None,
        "revokedAt": _instant(key.revoked_at) or None,
    }


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.has_expired(datetime.now(UTC)) else "valid"


def _scopes(key: ApiKey) -> str:
    return ", ".join(sorted(key.scopes))


def _instant(value: datetime | None) -> str:
    return "" if value is None else value.isoformat(timespec="seconds").replace("+00:00", "Z")
