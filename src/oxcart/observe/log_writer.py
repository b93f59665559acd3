"""A log handler that never waits for whatever reads the output.

A pipe that is not read, as of a log collector that hangs, blocks the thread that writes to it: with
a plain handler that is the event loop. Here a line is written at once where that does not block, so
that the last lines before a crash are there. Otherwise it goes into a bounded queue, which a thread
writes out; lines that do not fit are dropped and counted.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import stat
import sys
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import TextIO

MAX_LINES = 10_000
MAX_BYTES = 8 * 1024 * 1024
"""How much waits for a reader at the most."""
FLUSH_S = 2.0
"""How long the end of a program waits for a reader."""


class LogWriter(logging.Handler):
    """Writes lines to a stream, in order, without blocking the caller.

    A line is formatted where it is logged, so that context variables are those of the caller. In a
    process that was forked off lines are written directly: it has no writer thread.

    Args:
        stream: where to write; default: standard error. One that is not an open file, as in tests,
            is written to directly.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._stream = sys.stderr if stream is None else stream
        self._output = _output_of(self._stream)
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._dropped = 0
        self._is_writing = False
        self._has_thread = False
        self._is_forked = False
        if hasattr(os, "register_at_fork"):
            itself = weakref.ref(self)
            os.register_at_fork(after_in_child=lambda: _note_fork(itself()))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record's line, now or later."""
        try:
            line = self.format(record) + "\n"
            if self._output is None:
                self._stream.write(line)
                self._stream.flush()
                return
            data = line.encode("utf-8", "backslashreplace")
            if self._is_forked:
                self._output.write_all(data)
            else:
                self._take(data, self._output)
        # As every handler of the standard library: what fails here must not fail the caller.
        except Exception:  # noqa: BLE001
            self.handleError(record)

    def flush(self) -> None:
        """Wait until all lines are written, for two seconds at the most."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._is_writing, FLUSH_S)

    def close(self) -> None:
        """Write what waits, as ``flush`` does; later lines are written directly."""
        self.flush()
        with self._changed:
            output, self._output = self._output, None
            if output is not None and not self._is_writing:
                output.close()
        super().close()

    def _take(self, data: bytes, output: _Output) -> None:
        with self._changed:
            if not self._waiting and not self._is_writing:
                written = output.write_some(data)
                if written == len(data):
                    return
                data = data[written:]
            elif len(self._waiting) >= MAX_LINES or self._waiting_bytes >= MAX_BYTES:
                self._dropped += 1
                return
            self._waiting.append(data)
            self._waiting_bytes += len(data)
            if not self._has_thread:
                self._has_thread = True
                thread = threading.Thread(
                    target=self._write_waiting, args=(output,), name="oxcart-logs", daemon=True
                )
                thread.start()
            self._changed.notify_all()

    def _write_waiting(self, output: _Output) -> None:
        """Write what waits; the whole of the writer thread."""
        while True:
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting)
                lines = list(self._waiting)
                # What was dropped came after the last line that still fitted.
                dropped, self._dropped = self._dropped, 0
                self._waiting.clear()
                self._waiting_bytes = 0
                self._is_writing = True
            # Output that is closed or full cannot be reported anywhere.
            with suppress(OSError):
                for portion in _portions([*lines, *self._notice(dropped)]):
                    output.write_all(portion)

    def _notice(self, dropped: int) -> list[bytes]:
        if not dropped:
            return []
        event = "log.records_dropped"
        record = logging.LogRecord("oxcart.logs", logging.WARNING, "", 0, event, None, None)
        record.count = dropped
        return [(self.format(record) + "\n").encode("utf-8", "backslashreplace")]

    def note_fork(self) -> None:
        """Begin anew in a process that was forked off: the parent writes what waited."""
        self._changed = threading.Condition()
        self._waiting.clear()
        self._is_writing = False
        self._is_forked = True


class _Output:
    """An open file, and a way to write to it that never blocks, where there is one.

    Args:
        fd: the file; other processes may have it open too, so its flags are left alone.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._socket: socket.socket | None = None
        self._own_fd: int | None = None
        kind = os.fstat(fd).st_mode
        self._is_file = stat.S_ISREG(kind)
        if stat.S_ISSOCK(kind):
            self._socket = socket.socket(fileno=os.dup(fd))
        elif not self._is_file and sys.platform == "linux":
            # Opened once more, a pipe or terminal has flags of its own.
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            with suppress(OSError):
                self._own_fd = os.open(f"/proc/self/fd/{fd}", flags)

    def write_some(self, data: bytes) -> int:
        """Write what can be written without blocking; returns how many bytes that were."""
        try:
            if self._is_file:
                return os.write(self._fd, data)
            if self._socket is not None:
                return self._socket.send(data, socket.MSG_DONTWAIT)
            return 0 if self._own_fd is None else os.write(self._own_fd, data)
        except BlockingIOError:
            return 0

    def write_all(self, data: bytes) -> None:
        """Write everything, however long that takes."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:  # another process has made the file non-blocking
                poll = select.poll()
                poll.register(self._fd, select.POLLOUT)
                poll.poll()

    def close(self) -> None:
        """Close what was opened here."""
        if self._socket is not None:
            self._socket.close()
        if self._own_fd is not None:
            os.close(self._own_fd)
            self._own_fd = None


def _portions(lines: list[bytes]) -> Iterator[bytes]:
    """Join lines up to what a pipe takes in one piece: other processes write to it too."""
    portion = b""
    for line in lines:
        if portion and len(portion) + len(line) > select.PIPE_BUF:
            yield portion
            portion = b""
        portion += line
    yield portion


def _output_of(stream: TextIO) -> _Output | None:
    try:
        return _Output(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return None


def _note_fork(writer: LogWriter | None) -> None:
    if writer is not None:
        writer.note_fork()
