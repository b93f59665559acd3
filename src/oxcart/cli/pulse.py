"""Signs of life for those who look after a program: systemd, containers, orchestrators.

The event loop itself gives them, so that a loop that is blocked, or a process that is stopped, is
noticed: every few seconds it touches a file in ``OXCART_HEALTH_DIR`` and feeds systemd's watchdog.
They begin when the program is ready and go on until its end, while it drains too. They say nothing
about Redis or the database: a program that is started again because those are away helps nobody.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from oxcart._engine.ending import end
from oxcart.cli.systemd import Notifier
from oxcart.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from oxcart.cli.line import ParentLine
    from oxcart.settings import Settings

log = logging.getLogger("oxcart.cli")

BEAT_S = 5.0
"""Time between two beats; a file that is a minute old is that of a program that hangs."""


class BeatFile:
    """A file whose age tells when the program last beat.

    Args:
        folder: where the files of all programs are.
        program: names the file.

    Raises:
        ConfigError: the folder cannot be made or written.
    """

    def __init__(self, folder: Path, program: str) -> None:
        self._path = folder / f"{program}.beat"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # One of an earlier run that was killed says nothing about this one.
            self._path.unlink(missing_ok=True)
            self._write("")
            self._path.unlink()
        except OSError as error:
            raise ConfigError(
                f"OXCART_HEALTH_DIR is {str(folder)!r}: {error.strerror or error}; "
                "set it to a folder that can be written, best one in memory"
            ) from error
        self._is_troubled = False

    def beat(self, content: str) -> None:
        """Touch the file. A failure is logged once: the program is to go on."""
        try:
            try:
                os.utime(self._path)
            except FileNotFoundError:
                self._write(content)
        except OSError as error:
            if not self._is_troubled:
                log.warning("health.file_not_written", extra={"reason": str(error)})
            self._is_troubled = True

    def remove(self) -> None:
        """Take the file away: the program is over."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _write(self, content: str) -> None:
        beside = self._path.with_suffix(".new")
        beside.write_text(content, encoding="utf-8")
        beside.replace(self._path)


class Pulse:
    """What one program says about itself; see ``pulsing``.

    Args:
        notifier: systemd's end, or that of the parent that tells it on.
        file: the file to touch, if there is one.
    """

    def __init__(self, notifier: Notifier | ParentLine, file: BeatFile | None) -> None:
        self._notifier = notifier
        self._file = file
        self._content = ""
        self._is_ready = asyncio.Event()
        watchdog_s = notifier.watchdog_s
        self._interval_s = min(BEAT_S, watchdog_s / 2) if watchdog_s else BEAT_S

    def ready(self, status: str, *, url: str = "") -> None:
        """Say that the program is up, and begin to beat.

        Args:
            status: what it does, in a few words.
            url: where its health can be asked for, if it serves HTTP.
        """
        self._content = url
        self._beat()
        self._notifier.tell(READY="1", STATUS=status)
        self._is_ready.set()

    def stopping(self, status: str) -> None:
        """Say that the program was told to stop and what it waits for."""
        self._notifier.tell(STOPPING="1", STATUS=status)

    async def run(self) -> None:
        """Beat from the moment when the program is ready until cancelled."""
        await self._is_ready.wait()
        while True:
            self._beat()
            await asyncio.sleep(self._interval_s)

    def end(self) -> None:
        """Leave no sign of life behind."""
        if self._file is not None:
            self._file.remove()

    def _beat(self) -> None:
        if self._file is not None:
            self._file.beat(self._content)
        if self._notifier.watchdog_s is not None:
            self._notifier.tell(WATCHDOG="1")


def outside_of(program: str, settings: Settings) -> tuple[Notifier, BeatFile | None]:
    """Who looks at a program from outside: systemd, and whoever reads the file.

    Raises:
        ConfigError: ``OXCART_HEALTH_DIR`` cannot be used.
    """
    folder = settings.health_dir
    file = None if folder is None else BeatFile(folder, program)
    return Notifier.take_from(os.environ), file


@asynccontextmanager
async def pulsing(
    program: str, settings: Settings, line: ParentLine | None = None
) -> AsyncIterator[Pulse]:
    """Give a program its pulse, for as long as ``async with`` lasts.

    Args:
        program: its name: ``api``, ``worker`` or ``all``.
        settings: where the file is kept.
        line: the parent that looks after this program; then it alone is told.

    Raises:
        ConfigError: ``OXCART_HEALTH_DIR`` cannot be used.
    """
    pulse = Pulse(line, None) if line else Pulse(*outside_of(program, settings))
    async with asyncio.TaskGroup() as group:
        beating = group.create_task(pulse.run())
        try:
            yield pulse
        finally:
            await end(beating)
            pulse.end()
