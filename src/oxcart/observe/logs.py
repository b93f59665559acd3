"""Log lines: readable in development, JSON in production.

The packages log through the standard library, one event name a fact, with the facts as ``extra``.
"""

from __future__ import annotations

import logging
import sys

import structlog

_NOISY = ("asyncio", "aiosqlite", "mail.log", "httpx2", "httpcore2")


def configure_logs(*, level: str, as_json: bool) -> None:
    """Send all log lines to standard error.

    Args:
        level: the lowest level shown.
        as_json: one JSON object a line instead of coloured text.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso" if as_json else "%H:%M:%S", utc=as_json),
    ]
    if as_json:
        last: list[structlog.typing.Processor] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    else:
        last = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=24)]
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
