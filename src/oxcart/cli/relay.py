"""The signs of life of several processes made into those of one program.

systemd hears its main process alone, and whoever looks at the file in ``OXCART_HEALTH_DIR`` wants
to know whether every process runs. So the processes tell their parent, and the parent tells on.
"""

from __future__ import annotations

import asyncio

from oxcart.cli.pulse import BEAT_S, BeatFile
from oxcart.cli.systemd import Notifier


class Relay:
    """Tells on what processes say of themselves.

    Args:
        notifier: systemd's end.
        file: the file to touch, if there is one.
        processes: how many there are to be.
    """

    def __init__(self, notifier: Notifier, file: BeatFile | None, *, processes: int) -> None:
        self._notifier = notifier
        self._file = file
        self._processes = processes
        self._living: set[int] = set()
        self._has_beaten: set[int] = set()
        self._is_ready = False
        self._last_words = ""

    @property
    def watchdog_s(self) -> float:
        """How long to wait for a sign of life of a process, so that this one's come in time."""
        return min(2 * BEAT_S, self._notifier.watchdog_s or 2 * BEAT_S)

    def hear(self, number: int, facts: dict[str, str]) -> None:
        """A process says something of itself.

        Args:
            number: which one.
            facts: by systemd's names.
        """
        if "READY" in facts:
            self._living.add(number)
            self._say_ready(facts.get("STATUS", ""))
        if "STOPPING" in facts:
            self._say_stopping(facts)
        if "WATCHDOG" in facts:
            self._has_beaten.add(number)
            self._beat_with_all()

    def gone(self, number: int) -> None:
        """A process has ended."""
        self._living.discard(number)
        self._has_beaten.discard(number)

    async def beat_while_none_runs(self) -> None:
        """Beat while no process is up because a replacement is waited for; until cancelled.

        A wait before a restart may be longer than systemd's patience, and a program that is about
        to start a process is alive. A process that is up has to beat for itself.
        """
        while True:
            await asyncio.sleep(self.watchdog_s / 2)
            if self._is_ready and not self._living:
                self._beat()

    def end(self) -> None:
        """Leave no sign of life behind."""
        if self._file is not None:
            self._file.remove()

    def _say_ready(self, status: str) -> None:
        if self._is_ready or len(self._living) < self._processes:
            return
        self._is_ready = True
        self._beat()
        if self._processes > 1:
            status = f"{status}, in {self._processes} processes"
        self._notifier.tell(READY="1", STATUS=status)

    def _say_stopping(self, facts: dict[str, str]) -> None:
        """Once, and again when what is waited for changes."""
        if facts.get("STATUS", "") != self._last_words:
            self._last_words = facts.get("STATUS", "")
            self._notifier.tell(**facts)

    def _beat_with_all(self) -> None:
        """One that does not beat silences the program."""
        if self._is_ready and self._has_beaten >= self._living:
            self._has_beaten.clear()
            self._beat()

    def _beat(self) -> None:
        if self._file is not None:
            self._file.beat("")
        if self._notifier.watchdog_s is not None:
            self._notifier.tell(WATCHDOG="1")
