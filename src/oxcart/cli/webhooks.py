"""``oxcart webhooks``: lists deliveries with their attempts, sends one again, makes a secret."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from oxcart.webhooks.states import DeliveryState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from typing import Any

    from oxcart.webhooks.records import Attempt, Delivery, DeliveryRecords

    Run = Callable[[Coroutine[Any, Any, int | None]], None]

WIDE = 10_000
"""A table that programs read is never folded."""
EXIT_FAILED = 1
MAX_LIMIT = 1_000


def make_commands(run: Run) -> typer.Typer:
    """Return the commands.

    Args:
        run: runs a program and reports its errors.
    """
    webhooks = typer.Typer(no_args_is_help=True, help="Look at webhooks and send them again.")

    @webhooks.command("list")
    def list_all(
        *,
        state: Annotated[
            DeliveryState | None, typer.Option(help="Only deliveries in this state.")
        ] = None,
        endpoint: Annotated[str | None, typer.Option(help="Only those of this endpoint.")] = None,
        limit: Annotated[int, typer.Option(help="How many.", min=1, max=MAX_LIMIT)] = 50,
        as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    ) -> None:
        """List deliveries, newest first."""
        run(list_deliveries(state, endpoint, limit, as_json=as_json))

    @webhooks.command()
    def show(
        delivery_id: Annotated[str, typer.Argument(metavar="ID")],
        *,
        as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    ) -> None:
        """Show a delivery, its message and every attempt."""
        run(show_delivery(delivery_id, as_json=as_json))

    @webhooks.command()
    def redeliver(
        ids: Annotated[list[str] | None, typer.Argument(metavar="ID...")] = None,
        *,
        failed: Annotated[
            bool, typer.Option("--failed", help="Every delivery that failed, 1,000 at the most.")
        ] = False,
        endpoint: Annotated[
            str | None, typer.Option(help="With --failed: only those of this endpoint.")
        ] = None,
    ) -> None:
        """Send messages again, with the same ids, from the first attempt on."""
        if bool(ids) == failed:
            raise typer.BadParameter("give ids, or --failed", param_hint="ID")
        run(redeliver_all(ids or [], endpoint))

    @webhooks.command()
    def secret(
        *,
        pair: Annotated[
            bool, typer.Option("--pair", help="A private key and its public key, of Ed25519.")
        ] = False,
    ) -> None:
        """Make a secret for an endpoint, or for webhooks that come in, and print it."""
        from oxcart.webhooks.signatures import SigningSecret

        if pair:
            from oxcart.webhooks.key_pairs import PrivateKey

            private = PrivateKey.generate()
            typer.echo(private.reveal())
            typer.echo(private.public_key.reveal())
            return
        typer.echo(SigningSecret.generate().reveal())

    return webhooks


async def list_deliveries(
    state: DeliveryState | None, endpoint: str | None, limit: int, *, as_json: bool
) -> None:
    """Print deliveries, newest first."""
    async with _open_records() as records:
        found = await records.find(state=state, endpoint=endpoint, limit=limit)
    if as_json:
        typer.echo(json.dumps([_shown(item) for item in found], indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("id", "type", "endpoint", "state", "attempts", "created", "error"):
        table.add_column(heading)
    for item in found:
        table.add_row(
            item.id,
            item.type,
            item.endpoint,
            item.state.value,
            str(item.attempts),
            _instant(item.created_at),
            item.error or "",
        )
    console = Console() if Console().is_terminal else Console(width=WIDE)
    console.print(table)


async def show_delivery(delivery_id: str, *, as_json: bool) -> int:
    """Print a delivery and its attempts.

    Returns:
        The exit code: 1 if there is no such delivery.
    """
    async with _open_records() as records:
        item = await records.get(delivery_id, with_log=True)
    if item is None:
        return _not_found(delivery_id)
    document = _shown(item) | {"log": [_shown_attempt(entry) for entry in item.log]}
    if as_json:
        typer.echo(json.dumps(document | {"message": json.loads(item.body)}, indent=2))
        return 0
    for name, value in _shown(item).items():
        if value is not None:
            typer.echo(f"{name:<10} {value}")
    for entry in item.log:
        came_to = entry.error if entry.status is None else f"status {entry.status}"
        when = f"{_instant(entry.started_at)}  {entry.duration_ms} ms"
        typer.echo(f"attempt {entry.number:<2} {when}  {came_to}")
    typer.echo(item.body)
    return 0


async def redeliver_all(ids: list[str], endpoint: str | None) -> int:
    """Have deliveries sent again by the next worker.

    Args:
        ids: which; none: those that failed.
        endpoint: of those that failed, only this endpoint's.

    Returns:
        The exit code: 1 if one of the ids is not a delivery's.
    """
    from oxcart.webhooks.errors import DeliveryNotFound

    code = 0
    async with _open_records() as records:
        if not ids:
            failed = await records.find(
                state=DeliveryState.FAILED, endpoint=endpoint, limit=MAX_LIMIT
            )
            ids = [item.id for item in failed]
        for delivery_id in ids:
            try:
                item = await records.redeliver(delivery_id)
            except DeliveryNotFound:
                code = _not_found(delivery_id)
            else:
                typer.echo(f"{item.id} ({item.type} to {item.endpoint}) will be sent again")
    return code


@asynccontextmanager
async def _open_records() -> AsyncIterator[DeliveryRecords]:
    from oxcart.cli.start_checks import read_settings
    from oxcart.database.engine import open_database
    from oxcart.webhooks.records import DeliveryRecords

    settings, _ = read_settings("webhooks")
    async with open_database(settings) as database:
        yield DeliveryRecords(database)


def _not_found(delivery_id: str) -> int:
    typer.echo(
        f"no delivery has the id {delivery_id!r}; oxcart webhooks list shows the ids", err=True
    )
    return EXIT_FAILED


def _shown(item: Delivery) -> dict[str, object]:
    return {
        "id": item.id,
        "messageId": item.message_id,
        "type": item.type,
        "endpoint": item.endpoint,
        "state": item.state.value,
        "attempts": item.attempts,
        "createdAt": _instant(item.created_at),
        "dueAt": _instant(item.due_at) if item.state.is_open else None,
        "endedAt": _instant(item.ended_at) or None,
        "error": item.error,
    }


def _shown_attempt(entry: Attempt) -> dict[str, object]:
    return {
        "number": entry.number,
        "startedAt": _instant(entry.started_at),
        "durationMs": entry.duration_ms,
        "status": entry.status,
        "error": entry.error,
        "answer": entry.answer,
    }


def _instant(value: datetime | None) -> str:
    return "" if value is None else value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
