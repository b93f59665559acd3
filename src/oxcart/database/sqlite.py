"""What SQLite needs beyond a connection: its log, its waiting for turns, its transactions."""

from __future__ import annotations

import asyncio
import time
from sqlite3 import OperationalError
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.engine import AdaptedConnection

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

BUSY_SECONDS = 10
WRITES = "oxcart_writes"
"""Execution option of a connection whose transactions write."""
_BETWEEN_TRIES_SECONDS = 0.01
_BEGIN = "BEGIN"
# A deferred transaction that reads and then writes fails at once when another one wrote meanwhile,
# busy time-out or not; one that says at the start that it will write waits for its turn.
_BEGIN_WRITE = "BEGIN IMMEDIATE"


def listen(engine: Engine) -> None:
    """Set up every connection that an engine makes, and begin its transactions."""
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)


def _configure(connection: Any, record: object) -> None:
    """Set up a new connection."""
    del record
    # The driver must not begin transactions by itself: it does so only before the first write, so
    # that two reads in one transaction could see two different instants.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        _keep_log(connection, cursor)
        cursor.execute("PRAGMA foreign_keys=ON")
    finally:
        cursor.close()


def _keep_log(connection: Any, cursor: Any) -> None:
    """Switch the file to a write-ahead log, once in its life, waiting for who else is at it.

    The busy time-out does not cover this: beside another that writes, or that switches too, SQLite
    refuses at once.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        else:
            return
        _pause(connection)


def _pause(connection: Any) -> None:
    """Wait a little; on the event loop, without holding it up."""
    if isinstance(connection, AdaptedConnection):
        connection.run_async(lambda _: asyncio.sleep(_BETWEEN_TRIES_SECONDS))
    else:
        time.sleep(_BETWEEN_TRIES_SECONDS)


def _begin(connection: Connection) -> None:
    """Begin a transaction in the driver's stead."""
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql(_BEGIN_WRITE if writes else _BEGIN)
