"""Lines go to a pipe in order, whatever its reader does."""

from __future__ import annotations

import io
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest

from oxcart.observe import log_writer
from oxcart.observe.log_writer import MAX_LINES, LogWriter

Make = Callable[[TextIO], logging.Logger]


@pytest.fixture
def make() -> Iterator[Make]:
    """Make a logger that writes to a stream."""
    made: list[LogWriter] = []

    def begin(stream: TextIO) -> logging.Logger:
        writer = LogWriter(stream)
        made.append(writer)
        log = logging.Logger("test")  # noqa: LOG001  # of this test alone
        log.addHandler(writer)
        return log

    yield begin
    for writer in made:
        writer.close()


class Pipe:
    """A pipe whose reader reads when it is told to."""

    def __init__(self) -> None:
        self._read_end, write_end = os.pipe()
        self.stream = os.fdopen(write_end, "w")
        self.text = ""

    def read_more(self) -> None:
        self.text += os.read(self._read_end, 1 << 20).decode()

    def read_until(self, text: str) -> str:
        while text not in self.text:
            self.read_more()
        return self.text

    def read_now(self) -> bytes:
        os.set_blocking(self._read_end, False)
        return os.read(self._read_end, 1_000)

    def stop_reading(self) -> None:
        os.close(self._read_end)
        self._read_end = -1

    def close(self) -> None:
        self.stream.close()
        if self._read_end >= 0:
            os.close(self._read_end)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def test_line_is_there_when_the_call_returns(make: Make, pipe: Pipe) -> None:
    """A process that dies just after it has logged leaves its last line."""
    make(pipe.stream).warning("last words")

    assert b"last words\n" == pipe.read_now()


def test_lines_to_a_pipe_that_is_read_late_come_in_order(make: Make, pipe: Pipe) -> None:
    log = make(pipe.stream)
    lines = [f"{number} {'x' * 200}" for number in range(3_000)]

    for line in lines:
        log.warning(line)
    text = pipe.read_until(lines[-1] + "\n")
    log.warning("direct again")

    assert lines == text.splitlines()
    assert pipe.read_until("direct again\n")


def test_pipe_that_is_not_read_blocks_nothing_and_what_is_dropped_is_counted(
    make: Make, pipe: Pipe
) -> None:
    log = make(pipe.stream)
    begun = time.monotonic()
    most = 3 * MAX_LINES
    for number in range(most):
        log.warning("%d", number)
    took_s = time.monotonic() - begun
    text = pipe.read_until("log.records_dropped")
    log.warning("and on")
    lines = pipe.read_until("and on\n").splitlines()

    kept = [int(line) for line in lines[:-2]]
    assert took_s < 10
    assert list(range(len(kept))) == kept
    assert MAX_LINES <= len(kept) < most
    assert ["log.records_dropped", "and on"] == lines[-2:]
    assert text


def test_lines_of_two_processes_do_not_mix(make: Make, pipe: Pipe) -> None:
    """Two writers, each with a thread and a file of its own, on one pipe that is full."""
    logs = [make(pipe.stream) for _ in range(2)]
    for _ in range(3_000):
        for number, log in enumerate(logs):
            log.warning(str(number) * 150)
    for log in logs:
        log.warning("the end of one")

    while pipe.text.count("the end of one") < 2:
        pipe.read_more()
    assert {"0" * 150, "1" * 150, "the end of one"} == set(pipe.text.splitlines())


def test_flush_of_a_pipe_that_is_not_read_is_bounded(
    make: Make, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_writer, "FLUSH_S", 0.1)
    log = make(pipe.stream)
    for _ in range(2_000):
        log.warning("x" * 100)

    begun = time.monotonic()
    log.handlers[0].flush()

    assert 0.1 <= time.monotonic() - begun < 2


def test_reader_that_has_gone_does_no_harm(make: Make, pipe: Pipe) -> None:
    log = make(pipe.stream)
    for _ in range(2_000):
        log.warning("x" * 100)
    pipe.stop_reading()
    log.handlers[0].flush()

    log.setLevel(logging.INFO)
    log.info("nobody reads this")


def test_process_that_was_forked_off_writes_its_own_lines_once(make: Make, pipe: Pipe) -> None:
    """The pipe is full in the parent, whose lines are not written twice."""
    log = make(pipe.stream)
    for number in range(2_000):
        log.warning("%d %s", number, "x" * 100)

    child = os.fork()
    if child == 0:
        log.warning("of the child")
        os._exit(0)
    text = pipe.read_until("of the child\n")
    os.waitpid(child, 0)
    log.warning("of the parent")
    text = pipe.read_until("of the parent\n")

    assert 2_002 == len(text.splitlines())
    assert 1 == text.count("1999 ")


def test_socket_that_is_not_read_blocks_nothing(make: Make) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, os.fdopen(os.dup(ours.fileno()), "w") as stream:
        log = make(stream)
        for _ in range(5_000):
            log.warning("x" * 200)
        log.warning("the end")

        read = b""
        while b"the end" not in read:
            read += theirs.recv(1 << 20)
        log.handlers[0].close()

    assert 5_001 == len(read.splitlines())


def test_stream_that_is_no_file_is_written_to_directly(make: Make) -> None:
    stream = io.StringIO()

    make(stream).warning("a line")

    assert "a line\n" == stream.getvalue()


def test_lines_to_a_file_follow_what_others_write(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w") as stream:
        log = make(stream)
        log.warning("one")
        os.write(stream.fileno(), b"two\n")
        log.warning("three")
        log.handlers[0].close()

    assert "one\ntwo\nthree\n" == path.read_text()
