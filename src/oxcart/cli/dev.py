"""``oxcart dev``: everything in one process tree."""

from __future__ import annotations

import asyncio
import os
import signal
from functools import partial

from rich.console import Console

from oxcart._settings.default_user import why_no_default_user
from oxcart._settings.values import mask_url
from oxcart.cli.children import Children
from oxcart.cli.programs import on_stop_signals, start_program
from oxcart.cli.reaper import reaping
from oxcart.database.engine import Database
from oxcart.database.errors import DatabaseNotEmpty
from oxcart.database.sample import fill_with_sample
from oxcart.database.schema import prepare_schema
from oxcart.database.users import DEFAULT_USER_ID
from oxcart.embedded import EmbeddedValkey
from oxcart.http.server import listen
from oxcart.mail.outgoing import mailbox_folder
from oxcart.settings import Settings

console = Console(stderr=True)


async def run_dev(*, port: int | None, with_sample: bool) -> int:
    """Run API and worker, on a private Valkey unless ``REDIS_URL`` is set, until a signal.

    Returns:
        The exit code: 1 if one of the programs ended by itself.
    """
    settings = start_program("dev")
    # Found out before anything is started for it.
    listen(settings.api_host, settings.api_port if port is None else port).close()
    stop = asyncio.Event()
    on_stop_signals(partial(_note_stop, stop))
    server = None if settings.redis_url else EmbeddedValkey(settings.data_dir)
    if server is not None:
        await asyncio.to_thread(server.start)
    try:
        await prepare_database(settings, with_sample=with_sample)
        if stop.is_set():
            return 0
        async with Children() as children, reaping(children):
            on_stop_signals(partial(_note_stop, stop, children))
            await start_programs(children, settings, port=port)
            _tell_addresses(settings, port, server)
            return await _wait_for_end(children, stop)
    finally:
        if server is not None:
            await asyncio.to_thread(server.stop)


def _note_stop(stop: asyncio.Event, children: Children | None = None) -> None:
    if not stop.is_set():
        console.print("stopping ...")
    elif children is not None:
        children.terminate(signal.SIGINT)  # in a hurry
    stop.set()


async def prepare_database(settings: Settings, *, with_sample: bool) -> None:
    """Make the tables, and fill an empty development database with sample data."""
    async with Database.from_settings(settings) as database:
        await prepare_schema(database, may_migrate=True)
        if not with_sample or settings.database_url is not None:
            return
        try:
            report = await asyncio.to_thread(fill_with_sample, database)
        except DatabaseNotEmpty:
            return
    rows = ", ".join(f"{count:,} {table}" for table, count in report.row_counts.items() if count)
    console.print(f"sample data: {rows}")


async def start_programs(children: Children, settings: Settings, *, port: int | None) -> None:
    """Start API and worker with this process' environment."""
    environ = {**os.environ, "OXCART_DATA_DIR": str(settings.data_dir)}
    if port is not None:
        environ["OXCART_API_PORT"] = str(port)
    await children.start("worker", "worker", environ=environ)
    await children.start("api", "api", environ=environ)


async def _wait_for_end(children: Children, stop: asyncio.Event) -> int:
    ended = await children.first_to_end_before(stop)
    if ended is None:
        return 0
    name, code = ended
    console.print(f"[red]the {name} ended by itself with code {code}; stopping[/red]")
    return 1


def _tell_addresses(settings: Settings, port: int | None, server: EmbeddedValkey | None) -> None:
    api_port = settings.api_port if port is None else port
    console.print(f"API      http://{settings.api_host}:{api_port}  (reference: /docs)")
    reason = why_no_default_user(settings)
    if reason is None:
        console.print(f"user     {DEFAULT_USER_ID}, for requests of this machine without a key")
    else:
        console.print(f"user     none without an API key: {reason}")
    if server is not None:
        url = mask_url(server.port_url)  # output ends up in logs
        console.print(f"Valkey   {url}  (for Node, redis-cli, Bull Board)")
        console.print(f"         its password is in {settings.data_dir / 'valkey' / 'server.json'}")
    if settings.smtp_host is None:
        console.print(f"mailbox  {mailbox_folder(settings)}")
    console.print("Ctrl-C stops everything.")
