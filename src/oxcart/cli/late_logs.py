"""Logging that is set up by the first line: in a process that may never have anything to say.

What makes log lines takes more memory and time to import than all else that the process needs.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from oxcart.errors import ConfigError

if TYPE_CHECKING:
    from oxcart.settings import Settings


def start_observing_late(settings: Settings) -> None:
    """Start logging, and reporting errors, as the settings say, when there is something to log."""
    root = logging.getLogger()
    root.setLevel(settings.log_level.upper())
    root.addHandler(_FirstLine(settings))


class _FirstLine(logging.Handler):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings

    def emit(self, record: logging.LogRecord) -> None:
        """Set up what takes the lines from now on, and hand it this one."""
        from oxcart.observe.start import start_observing

        logging.getLogger().removeHandler(self)
        with suppress(ConfigError):  # the processes that run jobs tell it as well, and end
            start_observing(self._settings)
        logging.getLogger(record.name).handle(record)
