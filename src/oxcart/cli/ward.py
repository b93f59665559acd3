"""One process that runs jobs, as the one that watches over it sees it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from oxcart._engine.claim import Claim, renew
from oxcart._engine.ending import end
from oxcart._engine.loop_monitor import BlockedLoop
from oxcart._store.connection import Timeouts
from oxcart._store.location import Location
from oxcart._store.store import Store
from oxcart.cli.line import ChildLine, Message
from oxcart.cli.loop_watch import LOOK_S, LoopWatch
from oxcart.cli.relay import Relay
from oxcart.cli.silence import Silence
from oxcart.errors import StoreError

log = logging.getLogger("oxcart.cli")
loop_log = logging.getLogger("oxcart.worker")

COMMAND = "2s"
"""How long the server may take to answer: locks run out meanwhile."""


class Servers:
    """The servers that workers said they use; connected to when one needs help."""

    def __init__(self) -> None:
        self._stores: dict[str, Store] = {}

    def of(self, claim: Claim) -> Store:
        """Where the jobs of a worker are."""
        return self.at(claim.url)

    def at(self, url: str) -> Store:
        """The server of a URL."""
        if url not in self._stores:
            timeouts = Timeouts(command=COMMAND)
            self._stores[url] = Store(Location.at(url), timeouts=timeouts)
        return self._stores[url]

    async def aclose(self) -> None:
        """Close the connections."""
        for store in self._stores.values():
            await store.aclose()


class Ward:
    """Listens to a process, and keeps its locks while it stands still.

    Args:
        number: which of the processes it is.
        process: the process.
        line: to it.
        relay: what it says of itself is told on by.
        servers: where its jobs are.
        stop: set when all are told to stop.
        frozen_s: how long it may stand still.
        start_s: how long it may take to be ready.
        stop_s: how long it may take to end once it stops.
    """

    def __init__(
        self,
        number: int,
        process: asyncio.subprocess.Process,
        line: ChildLine,
        relay: Relay | None,
        servers: Servers,
        stop: asyncio.Event,
        *,
        frozen_s: float,
        start_s: float,
        stop_s: float,
    ) -> None:
        self._number = number
        self._process = process
        self._line = line
        self._relay = relay
        self._servers = servers
        self._stop = stop
        self._frozen_s = frozen_s
        self._start_s = start_s
        self._starting_at = ""
        self._is_up = asyncio.Event()
        self._has_begun = asyncio.Event()
        self.claim: Claim | None = None
        """What it holds, once it takes jobs."""
        self.blocked: BlockedLoop | None = None
        """What blocks its event loop, while it is blocked."""
        self._loop_watch = LoopWatch(frozen_s)
        self._stop_s = stop_s
        self._stopping = asyncio.Event()
        self.on_handed_over: Callable[[Claim, str, str, str], None] | None = None
        """Called with queue, job id and lock token of a job that must be run alone."""
        self.on_settled: Callable[[str, str], None] | None = None
        """Called with queue and id of an assigned job that has ended."""

    def assign(self, queue: str, job_id: str, token: str) -> None:
        """Have the process run one active job that is held under a token."""
        self._line.assign(queue, job_id, token)

    def terminate(self) -> None:
        """Tell the process to stop."""
        with suppress(ProcessLookupError):
            self._process.terminate()

    def has_died(self, code: int) -> bool:
        """Whether it ended in another way than a worker that stops: a job may end its process.

        Args:
            code: how it ended.
        """
        return code != 0 or (self.claim is not None and not self._stopping.is_set())

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    async def run(self) -> int:
        """Look after it until it has ended.

        Returns:
            Its exit code, or the number of the signal that ended it, negative.
        """
        loop = asyncio.get_running_loop()
        loop.add_reader(self._line.end, self._listen)
        try:
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(self._watch())
                starting = group.create_task(self._limit_start())
                loop_watching = group.create_task(self._watch_loop())
                stopping = group.create_task(self._limit_stop())
                code = await self._process.wait()
                await end(watching, starting, loop_watching, stopping)
            self._listen()  # what it said last
        finally:
            loop.remove_reader(self._line.end)
            self._line.close()
            if self._relay is not None:
                self._relay.gone(self._number)
        return code

    def _listen(self) -> None:
        for message in self._line.read():
            if message.claim is not None:
                self.claim = message.claim
                self._has_begun.set()
            self._note_loop(message)
            self._note_jobs(message)
            if message.starting_at:
                self._log_slow_start(message.starting_at)
            if "READY" in message.facts:
                self._is_up.set()
            if "STOPPING" in message.facts:
                self._stopping.set()
            # One that somebody else stops is replaced: the program does not stop.
            if self._relay is None or not message.facts:
                continue
            if "STOPPING" not in message.facts or self._stop.is_set():
                self._relay.hear(self._number, message.facts)

    def _note_jobs(self, message: Message) -> None:
        if message.handed_over and self.on_handed_over is not None and self.claim is not None:
            self.on_handed_over(self.claim, *message.handed_over)
        if message.settled and self.on_settled is not None:
            self.on_settled(*message.settled)

    def _note_loop(self, message: Message) -> None:
        """Log for the process that its event loop is blocked: its own log may be what blocks."""
        if message.blocked is not None:
            self.blocked = message.blocked
            facts = {
                "pid": self.pid,
                **message.blocked.facts,
                "kills_after_s": self._loop_watch.kills_after_s(message.blocked),
            }
            loop_log.warning("worker.loop_blocked", extra=facts)
        elif message.resumed_after_s:
            self.blocked = None
            facts = {"pid": self.pid, "blocked_s": message.resumed_after_s}
            loop_log.info("worker.loop_resumed", extra=facts)

    async def _watch_loop(self) -> None:
        """Kill the process when its event loop is blocked for too long."""
        page, watch = self._line.page, self._loop_watch
        while True:
            await asyncio.sleep(LOOK_S)
            watch.look(page.loop_turned_at, page.beat_at)
            if watch.blocked_s >= watch.kills_after_s(self.blocked):
                facts = self.blocked.facts if self.blocked is not None else {}
                log.error(
                    "supervisor.worker_killed",
                    extra={**facts, "pid": self.pid, "blocked_s": round(watch.blocked_s, 1)},
                )
                self._kill()
                return

    def _log_slow_start(self, stack: str) -> None:
        if not self._starting_at:
            facts = {"pid": self.pid, "kills_after_s": self._start_s, "stack": stack}
            log.warning("supervisor.start_slow", extra=facts)
        self._starting_at = stack

    async def _limit_start(self) -> None:
        """End a process that is not ready in time, as one whose imports hang."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._start_s):
                await self._is_up.wait()
        if self._is_up.is_set():
            return
        facts = {"pid": self.pid, "limit_s": self._start_s, "stack": self._starting_at or "unknown"}
        log.error("supervisor.start_timed_out", extra=facts)
        self._kill()

    async def _limit_stop(self) -> None:
        """End a process that something else has stopped and that does not end: it is replaced.

        When all are stopped, the command itself ends those that take too long.
        """
        await self._stopping.wait()
        await asyncio.sleep(self._stop_s)
        if not self._stop.is_set():
            facts = {"pid": self.pid, "limit_s": self._stop_s}
            log.error("supervisor.stop_timed_out", extra=facts)
            self._kill()

    async def _watch(self) -> None:
        await self._has_begun.wait()
        if self.claim is None:
            return
        silence, is_frozen = Silence(self.claim), False
        while True:
            await asyncio.sleep(silence.interval_s)
            silence.look(self._line.page.beat_at)
            if silence.is_long:
                await self._stand_in(self.claim, silence)  # before all else: locks run out
            if silence.is_long != is_frozen:
                is_frozen = silence.is_long
                self._log_change(is_frozen=is_frozen)

    def _log_change(self, *, is_frozen: bool) -> None:
        if is_frozen:
            log.warning(
                "supervisor.worker_stands_still",
                extra={"pid": self.pid, "kills_after_s": self._frozen_s},
            )
        else:
            log.info("supervisor.worker_goes_on", extra={"pid": self.pid})

    async def _stand_in(self, claim: Claim, silence: Silence) -> None:
        """Keep the locks of a process in which no thread can run, or end it."""
        if silence.seconds >= self._frozen_s:
            log.error(
                "supervisor.worker_killed",
                extra={"pid": self.pid, "stood_still_s": round(silence.seconds, 1)},
            )
            self._kill()
            return
        try:
            self._line.page.keep(await renew(self._servers.of(claim), claim))
        except StoreError as error:
            log.warning("supervisor.locks_not_renewed: %s", error)

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
