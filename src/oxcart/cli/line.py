"""What a worker's process and the one that watches over it tell each other.

The parent makes two things before it starts the child: a page of memory with four times in it,
which either side reads and writes without a call or a wait, and a socket for what is told seldom.
One of the child's times is written by a thread that does nothing else, and stands still only when
no thread of the process can run; another one by its event loop.
"""

from __future__ import annotations

import asyncio
import logging
import mmap
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import Self

import msgspec

from oxcart._engine.claim import Claim
from oxcart._engine.loop_monitor import BlockedLoop
from oxcart._engine.processes import parent_process
from oxcart._engine.stacks import stack_of

log = logging.getLogger("oxcart.cli")

VARIABLE = "OXCART_SUPERVISOR"
SEND_S = 1.0
"""How long the parent may take to have room for a message."""
SLOWEST_BEAT_S = 1.0
BEATS_A_LOCK = 10
"""How often a process shows that it runs in the time that its locks last, at least."""
LAST_STACK_S = 1.0
"""How long before the end of a start that takes too long its stack is sent."""
_MOST_BYTES = 262_144
"""More than the system lets a message have, so that none is cut: thousands of queues fit."""


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a child tells.

    Attributes:
        claim: a worker begins to take jobs, which are found so.
        facts: what it says of itself, by systemd's names.
        starting_at: the call stack of a start that takes long.
        blocked: its event loop is blocked.
        resumed_after_s: for how long the loop was blocked, when it turns again.
        handed_over: queue, id and lock token of a job that must be run alone.
        settled: queue and id of an assigned job that has ended.
    """

    claim: Claim | None = None
    facts: dict[str, str] = {}
    starting_at: str = ""
    blocked: BlockedLoop | None = None
    resumed_after_s: float = 0.0
    handed_over: tuple[str, str, str] | None = None
    settled: tuple[str, str] | None = None


class Assignment(msgspec.Struct, frozen=True):
    """A job that the parent has a child run: one that is active under the parent's lock."""

    queue: str
    job_id: str
    token: str


class Page:
    """Times in shared memory, in monotonic seconds, which all processes of a machine share.

    Args:
        fd: the memory, ``Page.SIZE`` bytes of it; it may be closed afterwards.
    """

    SIZE = 32

    def __init__(self, fd: int) -> None:
        # Stores of eight bytes in one piece: the other side sees the old time or the new one.
        self._times = memoryview(mmap.mmap(fd, self.SIZE)).cast("d")

    @property
    def beat_at(self) -> float:
        """When a thread of the child last ran; written by the child."""
        return self._times[0]

    @beat_at.setter
    def beat_at(self, at: float) -> None:
        self._times[0] = at

    @property
    def loop_turned_at(self) -> float:
        """When the child's event loop last turned; 0: it is not monitored. Written by the child."""
        return self._times[3]

    @loop_turned_at.setter
    def loop_turned_at(self, at: float) -> None:
        self._times[3] = at

    def kept_until(self, expires_at: float) -> float:
        """Until when the parent keeps the locks that the child kept until ``expires_at``."""
        return self._times[1] if self._times[2] <= expires_at else 0.0

    def keep(self, until: float) -> None:
        """The parent has just renewed the child's locks, until then."""
        now = time.monotonic()
        if now >= self._times[1]:  # a gap: what had run out in it was not renewed
            self._times[2] = now
        self._times[1] = until


class ParentLine:
    """The line to the parent, in the child: its guardian, and what it tells signs of life to.

    Args:
        end: the child's end of the socket.
        page: the shared times.
        watchdog_s: how long the parent waits for a sign of life from the event loop.
        start_s: how long the parent waits for ``READY`` before it ends this process.
        runs_assigned: whether this process runs nothing but what the parent assigns.
    """

    def __init__(
        self,
        end: socket.socket,
        page: Page,
        watchdog_s: float,
        start_s: float,
        *,
        runs_assigned: bool = False,
    ) -> None:
        self.runs_assigned = runs_assigned
        self._end = end
        self._page = page
        self.watchdog_s: float | None = watchdog_s
        self._start_s = start_s
        self._is_up = threading.Event()
        self.process = parent_process()

    @classmethod
    def take_from(cls, environ: MutableMapping[str, str]) -> Self | None:
        """The line that the parent left, taken out of the environment; ``None`` without one."""
        given = environ.pop(VARIABLE, "").split(",")
        if len(given) != len(("socket", "page", "watchdog", "start", "assigned")):
            return None
        end = socket.socket(fileno=int(given[0]))
        end.set_inheritable(False)
        end.settimeout(SEND_S)
        page = Page(int(given[1]))
        os.close(int(given[1]))
        line = cls(
            end, page, float(given[2]), float(given[3]), runs_assigned=given[4] == "assigned"
        )
        threading.Thread(target=line._report_start, name="oxcart-start", daemon=True).start()
        return line

    def tell(self, **facts: str) -> None:
        """Say something of this program, such as ``READY="1"``."""
        if "READY" in facts:
            self._is_up.set()
        self._send(Message(facts=facts))

    def begin(self, claim: Claim) -> None:
        """Say how the jobs of a worker are found, and show from now on that the process runs."""
        self._page.beat_at = time.monotonic()
        self._send(Message(claim=claim))
        interval_s = beat_interval_s(claim)
        threading.Thread(
            target=self._beat, args=(interval_s,), name="oxcart-beat", daemon=True
        ).start()

    def hand_over(self, queue: str, job_id: str, token: str) -> bool:
        """Hand a job over that must be run alone, unless this process is there for that."""
        if self.runs_assigned:
            return False
        return self._send(Message(handed_over=(queue, job_id, token)))

    def connect(self, assign: Callable[[str, str, str], object]) -> None:
        """Call back with queue, id and lock token of each job that the parent assigns."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._end, self._read_assignment, assign)

    def settled(self, queue: str, job_id: str) -> None:
        """Report that an assigned job has ended."""
        self._send(Message(settled=(queue, job_id)))

    def _read_assignment(self, assign: Callable[[str, str, str], object]) -> None:
        # One message a call: the socket has a time-out, and would be waited for after the last.
        try:
            text = self._end.recv(_MOST_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            log.debug("supervisor.not_heard: %s", error)
            text = b""
        if text:
            given = msgspec.json.decode(text, type=Assignment)
            assign(given.queue, given.job_id, given.token)
        else:  # the parent is gone
            asyncio.get_running_loop().remove_reader(self._end)

    def kept_until(self, expires_at: float) -> float:
        """Until when the parent keeps the locks that this process kept until ``expires_at``."""
        return self._page.kept_until(expires_at)

    def loop_turned(self, at: float) -> None:
        """Show that the event loop turns; 0: it is no longer monitored."""
        self._page.loop_turned_at = at

    def loop_blocked(self, blocked: BlockedLoop) -> None:
        """Report that the event loop is blocked: the parent can log it, whatever blocks here."""
        self._send(Message(blocked=blocked))

    def loop_resumed(self, blocked_s: float) -> None:
        """Report that the event loop turns again."""
        self._send(Message(resumed_after_s=blocked_s))

    def _report_start(self) -> None:
        """Send the main thread's stack when the start takes long, and before the parent ends it."""
        slow_s = self._start_s / 2
        for wait_s in (slow_s, max(slow_s / 2, slow_s - LAST_STACK_S)):
            if self._is_up.wait(wait_s):
                return
            self._send(Message(starting_at=stack_of()))

    def _beat(self, interval_s: float) -> None:
        while True:
            self._page.beat_at = time.monotonic()
            time.sleep(interval_s)

    def _send(self, message: Message) -> bool:
        """Send a message; false if the parent is gone or hangs."""
        try:
            self._end.send(msgspec.json.encode(message))
        except OSError as error:
            log.debug("supervisor.not_told: %s", error)
            return False
        return True


class ChildLine:
    """The line to one child, in the parent.

    Args:
        watchdog_s: how often the child's event loop is to show that it turns, at least.
        start_s: how long the child may take to be ready.
        runs_assigned: whether the child runs nothing but what it is assigned.
    """

    def __init__(self, watchdog_s: float, *, start_s: float, runs_assigned: bool = False) -> None:
        self._rest = (watchdog_s, start_s, "assigned" if runs_assigned else "all")
        self.end, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.end.settimeout(0)
        self._memory = _shared_memory(Page.SIZE)
        try:
            self.page = Page(self._memory)
        except OSError:
            os.close(self._memory)
            raise

    @property
    def fds(self) -> tuple[int, int]:
        """The open files that the child inherits."""
        return self._theirs.fileno(), self._memory

    @property
    def variable(self) -> dict[str, str]:
        """What the child finds them by."""
        return {VARIABLE: ",".join(str(item) for item in (*self.fds, *self._rest))}

    def let_go(self) -> None:
        """Close what the child has inherited."""
        self._theirs.close()
        os.close(self._memory)

    def assign(self, queue: str, job_id: str, token: str) -> None:
        """Have the child run one active job; if it is not told, it ends, and the job comes back."""
        with suppress(OSError):
            self.end.send(msgspec.json.encode(Assignment(queue, job_id, token)))

    def read(self) -> list[Message]:
        """All that has been told since the last time."""
        messages: list[Message] = []
        while True:
            try:
                text = self.end.recv(_MOST_BYTES)
            except (BlockingIOError, ConnectionError):
                return messages
            if not text:
                return messages
            messages.append(msgspec.json.decode(text, type=Message))

    def close(self) -> None:
        """Hang up."""
        self.end.close()


def beat_interval_s(claim: Claim) -> float:
    """How often a process shows that it runs."""
    return min(SLOWEST_BEAT_S, claim.lock_ms / 1_000 / BEATS_A_LOCK)


def _shared_memory(size: int) -> int:
    """An open file that is no file: in memory, or deleted where the system has no such thing."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("oxcart")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size)
    return fd
