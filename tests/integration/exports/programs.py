"""Programs that tests run as processes of their own, to kill, starve or measure them.

python -m tests.integration.exports.programs <program> <arguments>
"""

from __future__ import annotations

import asyncio
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.exports.doubles import WatchingObserver, order
from tests.integration.exports.site import open_site

from oxcart.database import Database
from oxcart.exports.errors import StorageFull
from oxcart.exports.exporter import Exporter
from oxcart.exports.storage import LocalStorage, _LocalUpload

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxcart.exports.storage import StoredFile


def hang_before_publishing(database_url: str, folder: str) -> None:
    """Run an export up to the moment before the rename, say so, and wait to be killed."""
    _LocalUpload.publish = _announce_and_wait  # type: ignore[assignment]  # the point of it
    storage = LocalStorage(Path(folder))
    Exporter(Database(database_url), storage).run(order("MEMBERS"), WatchingObserver())


def hanging_worker(database_url: str, folder: str, valkey_url: str, prefix: str) -> None:
    """Run a worker whose exports never get published."""
    _LocalUpload.publish = _announce_and_wait  # type: ignore[assignment]  # the point of it

    async def run() -> None:
        site = open_site(
            Database(database_url), valkey_url=valkey_url, prefix=prefix, folder=Path(folder)
        )
        async with site as opened:
            await opened.app.worker(
                {"export": 1}, lock="2s", stalled_interval="1s", max_stalled=5
            ).run()

    asyncio.run(run())


def run_out_of_room(database_url: str, folder: str, limit_bytes: str) -> None:
    """Run an export where there is no room; print the error and the files that are left."""
    if int(limit_bytes):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit_bytes), int(limit_bytes)))
    storage = LocalStorage(Path(folder))
    try:
        Exporter(Database(database_url), storage).run(order("MEMBERS"), WatchingObserver())
    except StorageFull as error:
        print(error)  # noqa: T201  # the answer
    print(sorted(path.name for path in Path(folder).iterdir()))  # noqa: T201  # the answer


def export_and_measure(database_url: str, folder: str) -> None:
    """Run an export; print its rows and by how many KiB the process' peak memory grew."""
    exporter = Exporter(Database(database_url), LocalStorage(Path(folder)))
    exporter.run(order("ANALYTICS", "user_1"), WatchingObserver())
    before = _peak_kib()
    result = exporter.run(order("USER_DATA", "user_1"), WatchingObserver())
    print(result.rows, _peak_kib() - before)  # noqa: T201  # the answer


def _peak_kib() -> int:
    # Not ru_maxrss: a process begins with its parent's there.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def _announce_and_wait(upload: _LocalUpload) -> StoredFile:
    upload._file.flush()
    print("written", flush=True)  # noqa: T201  # the signal
    signal.pause()
    raise AssertionError("it should have been killed")


PROGRAMS: dict[str, Callable[..., None]] = {
    function.__name__: function
    for function in (hang_before_publishing, hanging_worker, run_out_of_room, export_and_measure)
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
