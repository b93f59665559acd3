from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from tests.integration.database.postgres import PostgresServer
from tests.integration.database.rows import user_row
from tests.integration.exports.doubles import (
    SMALL_CLUB,
    WatchingObserver,
    file_names,
    order,
)
from tests.integration.exports.site import Site, open_site
from tests.support import wait_until

from oxcart import JobState
from oxcart.database import Database, DatabaseUnavailable, ExportStatus
from oxcart.database.migrations.runner import upgrade
from oxcart.database.sample import fill_with_sample
from oxcart.database.tables import user
from oxcart.exports.exporter import Exporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from oxcart.exports.storage import LocalStorage, Upload

REPOSITORY = Path(__file__).parents[3]
MEMORY_LIMIT_KIB = 16 * 1024


def command(program: str, *arguments: object) -> list[str]:
    module = "tests.integration.exports.programs"
    return [sys.executable, "-m", module, program, *map(str, arguments)]


@contextmanager
def started(program: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run a program until it says that it has written, and kill it at the end."""
    with subprocess.Popen(
        command(program, *arguments), cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "written\n"
            yield process
        finally:
            process.kill()


def test_attempt_that_was_killed_leaves_no_file_and_the_next_one_clears_up(
    club_url: str, storage: LocalStorage
) -> None:
    with started("hang_before_publishing", club_url, storage.folder) as process:
        process.kill()
    left = file_names(storage)
    assert len(left) == 1
    assert left[0].startswith(".cexport1.csv.")
    assert storage.size("cexport1.csv") is None

    database = Database(club_url)
    result = Exporter(database, storage).run(order("MEMBERS"), WatchingObserver())
    database.close()
    assert file_names(storage) == ["cexport1.csv"]
    assert storage.size("cexport1.csv") == result.file.size_bytes > 50_000


async def test_job_whose_worker_was_killed_is_finished_by_another_with_one_file(
    sqlite_site: Site, valkey_url: str, prefix: str
) -> None:
    export_id = (await sqlite_site.request("MEMBERS")).record.id
    url, folder = sqlite_site.database.url.blocking, sqlite_site.storage.folder
    arguments = (url.set(drivername="sqlite"), folder.parent, valkey_url, prefix)
    with started("hanging_worker", *arguments) as process:
        assert (await sqlite_site.record(export_id)).status is ExportStatus.PROCESSING
        process.kill()
    assert len(file_names(sqlite_site.storage)) == 1

    async with sqlite_site.worker(lock="2s", stalled_interval="500ms", max_stalled=5):
        await (await sqlite_site.job(export_id)).result()
    record = await sqlite_site.record(export_id)
    assert record.status is ExportStatus.COMPLETED
    assert file_names(sqlite_site.storage) == [f"{export_id}.csv"]
    assert record.rows == 1_200


def test_file_that_may_not_grow_is_dropped_with_a_clear_error(
    sqlite_club_url: str, tmp_path: Path
) -> None:
    """The operating system refuses to write more than 64 KiB into any file."""
    folder = tmp_path / "exports"
    run = subprocess.run(
        command("run_out_of_room", sqlite_club_url, folder, 65_536),
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    error, files = run.stdout.splitlines()
    assert error.startswith(f"no room left for the export in {folder}: File too large")
    assert files == "[]"


def can_mount() -> bool:
    """Whether a file system may be mounted where only the test's program sees it."""
    probe = ["unshare", *_namespaces(), "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _namespaces() -> list[str]:
    return ["--mount"] if os.geteuid() == 0 else ["--mount", "--user", "--map-root-user"]


@pytest.mark.skipif(not can_mount(), reason="no right to mount; the other test covers the error")
def test_full_disk_is_a_clear_error_and_leaves_nothing(
    sqlite_club_url: str, tmp_path: Path
) -> None:
    """A real file system of 64 KiB, for about 100 KiB of members."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = f"mount -t tmpfs -o size=64k none {folder}"
    program = command("run_out_of_room", sqlite_club_url, folder, 0)
    run = subprocess.run(
        ["unshare", *_namespaces(), "sh", "-c", f'{mount} && exec "$@"', "sh", *program],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    error, files = run.stdout.splitlines()
    assert error.startswith(f"no room left for the export in {folder}: No space left on device")
    assert files == "[]"


class InterruptingStorage:
    """A storage that does something when the first bytes are written."""

    def __init__(self, storage: LocalStorage, action: Callable[[], object]) -> None:
        self._storage = storage
        self._action = action
        self._is_done = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    @contextmanager
    def create(self, key: str) -> Iterator[Upload]:
        with self._storage.create(key) as upload:
            if not self._is_done:
                self._is_done = True
                self._action()
            yield upload


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def own_club_url(own_postgres: PostgresServer) -> str:
    """Sample data on a PostgreSQL of the test's own, to be stopped."""
    database = Database(own_postgres.url())
    fill_with_sample(database, size=SMALL_CLUB)
    database.close()
    return own_postgres.url()


async def test_export_interrupted_by_the_workers_stop_is_given_back_and_done_by_the_next(
    sqlite_club_url: str, storage: LocalStorage, valkey_url: str, prefix: str, tmp_path: Path
) -> None:
    has_begun = threading.Event()

    def go_on_for_ever() -> None:
        has_begun.set()
        while True:
            time.sleep(0.01)

    async with (
        Database(sqlite_club_url) as database,
        open_site(
            database,
            valkey_url=valkey_url,
            prefix=prefix,
            folder=tmp_path,
            storage=InterruptingStorage(storage, go_on_for_ever),
        ) as site,
    ):
        export_id = (await site.request("MEMBERS")).record.id
        async with site.worker() as worker:
            await wait_until(has_begun.is_set, what="the export to begin")
            worker.stop(force=True)
        assert await site.state(export_id) is JobState.WAITING
        assert (await site.record(export_id)).status is ExportStatus.PROCESSING
        assert file_names(storage) == []

        async with site.worker():
            await (await site.job(export_id)).result()
        assert (await site.record(export_id)).rows == 1_200
    assert file_names(storage) == [f"{export_id}.csv"]


async def test_database_that_goes_in_the_middle_is_waited_for_by_the_jobs_attempts(
    own_postgres: PostgresServer,
    own_club_url: str,
    storage: LocalStorage,
    valkey_url: str,
    prefix: str,
    tmp_path: Path,
) -> None:
    """One attempt loses its database, the next finds none, the third finds it back."""
    interrupting = InterruptingStorage(storage, own_postgres.stop)
    async with (
        Database(own_club_url) as database,
        open_site(
            database,
            valkey_url=valkey_url,
            prefix=prefix,
            folder=tmp_path,
            storage=interrupting,
        ) as site,
    ):
        export_id = (await site.request("MEMBERS")).record.id
        reasons = []
        async with site.worker():
            for _ in range(2):
                await site.wait_for_state(export_id, JobState.DELAYED)
                reasons.append((await site.job(export_id)).failed_reason)
                assert file_names(storage) == []
                if len(reasons) == 2:
                    own_postgres.start()
                await site.jobs.queue.promote(export_id)
            await (await site.job(export_id)).result()
        record = await site.record(export_id)

    assert all("database" in str(reason) for reason in reasons)
    assert (record.status, record.attempts, record.rows) == (ExportStatus.COMPLETED, 3, 1_200)
    assert file_names(storage) == [f"{export_id}.csv"]


def test_database_that_goes_between_two_batches_is_named_as_the_reason(
    own_postgres: PostgresServer, own_club_url: str, storage: LocalStorage
) -> None:
    database = Database(own_club_url)

    def stop(check: int) -> None:
        if check == 2:
            own_postgres.stop()

    with pytest.raises(DatabaseUnavailable, match="the database"):
        Exporter(database, storage).run(order("MEMBERS"), WatchingObserver(on_check=stop))
    database.close()
    assert file_names(storage) == []


async def test_requests_say_so_when_the_database_is_away(
    own_postgres: PostgresServer, own_club_url: str, valkey_url: str, prefix: str, tmp_path: Path
) -> None:
    async with (
        Database(own_club_url) as database,
        open_site(database, valkey_url=valkey_url, prefix=prefix, folder=tmp_path) as site,
    ):
        await site.request("ANALYTICS")
        own_postgres.stop()
        with pytest.raises(DatabaseUnavailable):
            await site.request("ANALYTICS")
        with pytest.raises(DatabaseUnavailable):
            await site.service.list_exports("user_admin")
        own_postgres.start()
        assert (await site.request("ANALYTICS")).job_id is not None


MANY = 300_000
MANY_NOTIFICATIONS = """
INSERT INTO "Notification" (id, "userId", type, title, message, read, "createdAt")
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :many)
SELECT 'n' || n, 'user_1', 'SYSTEM', 'title ' || n, 'a message of some length, number ' || n,
       false, :now
FROM numbers
"""


def test_memory_does_not_grow_with_the_rows(database_url: str, storage: LocalStorage) -> None:
    """300,000 rows of 100 bytes through a process whose peak may grow by 16 MiB."""
    database = Database(database_url)
    with database.write_sync() as connection:
        upgrade(connection)
        connection.execute(user.insert(), [user_row("user_1")])
        now = datetime.now(UTC).replace(tzinfo=None)
        connection.execute(text(MANY_NOTIFICATIONS), {"many": MANY, "now": now})
    database.close()
    run = subprocess.run(
        command("export_and_measure", database_url, storage.folder),
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
        timeout=100,
    )
    rows, grown_kib = map(int, run.stdout.split())
    assert rows == MANY + 1
    assert grown_kib < MEMORY_LIMIT_KIB
