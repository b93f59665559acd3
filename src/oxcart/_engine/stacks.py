"""The call stack of another thread, as text for a log line."""

from __future__ import annotations

import sys
import threading
import traceback

MAX_FRAMES = 40
MAX_CHARS = 20_000
"""A stack is sent as one datagram; the innermost calls are the ones that are kept."""


def stack_of(thread_id: int | None = None) -> str:
    """Format the call stack of a thread, the innermost call last; no local variables are shown.

    Args:
        thread_id: as of ``threading.get_ident``; default: the main thread.

    Returns:
        The stack, or nothing when the thread has ended.
    """
    ident = threading.main_thread().ident if thread_id is None else thread_id
    frame = sys._current_frames().get(ident or 0)  # noqa: SLF001  # documented, and the only way
    if frame is None:
        return ""
    lines = traceback.format_stack(frame)[-MAX_FRAMES:]
    return "".join(lines)[-MAX_CHARS:].rstrip("\n")
