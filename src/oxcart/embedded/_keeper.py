"""A thread that checks on the server, also in a process that does not use it at the moment.

Processes that joined cannot start a server while its owner lives, so the owner must notice that the
server died, and a process that joined must notice that the owner ended.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_INTERVAL_S = 0.5


class Keeper:
    """Calls a function twice a second in a daemon thread.

    Args:
        look: the function, which must not raise.
    """

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._ending: threading.Event | None = None

    def start(self) -> None:
        """Start looking unless that was done already."""
        if self._ending is None:
            self._ending = threading.Event()
            # A daemon: the server is stopped at exit, when other threads have been waited for.
            threading.Thread(
                target=self._run, args=(self._ending,), name="oxcart-embedded", daemon=True
            ).start()

    def end(self) -> None:
        """Stop looking; does not wait, so that a look may call it. Also right in a forked child."""
        if self._ending is not None:
            self._ending.set()
            self._ending = None

    def _run(self, ending: threading.Event) -> None:
        while not ending.wait(_INTERVAL_S):
            self._look()
