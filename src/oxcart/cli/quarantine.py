"""Quarantine: the jobs of a dead process are run alone, so that only one that kills is failed.

The supervisor cannot know which of the jobs killed their process. It takes all of them over: they
stay active, under locks of its own, while a new process works on the rest of the queue. Each is
then run by itself in a process that takes nothing else. A job whose process dies again counts that
death towards its limit; all others end as usual.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from oxcart._engine import recovery
from oxcart._engine.claim import Claim
from oxcart._engine.processes import this_process
from oxcart._engine.recovery import HeldJob
from oxcart._model.clock import ServerClock
from oxcart._model.registry import WorkerRecord, beat_ms
from oxcart._store.calls import holding, registry
from oxcart._version import __version__
from oxcart._wire import scripts
from oxcart._wire.keys import QueueKeys
from oxcart.cli.ward import Servers, Ward
from oxcart.errors import OxcartError, StoreError

log = logging.getLogger("oxcart.cli")

PLACES = 4
"""How many processes run quarantined jobs at the same time, each its own."""
STEADY_S = 30.0
"""A job that has run alone for so long is unlikely to kill: another one may join it."""
IDLE_S = 10.0
"""How long a process without a job is kept for the next one."""
MOST_JOBS = 500
"""With more jobs than this in quarantine, no further process is started for the queue."""
MOST_STARTS = 4
"""After so many failed starts in a row the jobs are left to other workers."""
LOOK_S = 1.0
GLANCE_S = 0.05
LONGEST_BEAT_S = 2.0
"""A lock that was just taken over is renewed at least so soon, whatever its time."""
START_WAIT_S = 0.5
HOLDER_BYTES = 8
SCRIPTS = (
    "find_held", "adopt_held", "recover_held", "extend_locks", "beat_worker", "remove_worker",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Suspect:
    """A job in quarantine.

    Attributes:
        job: the job, with the token of the supervisor's lock.
        claim: of the worker that held it.
    """

    job: HeldJob
    claim: Claim


@dataclass(slots=True, eq=False)
class _Place:
    """A process of the quarantine and what it was given to run."""

    ward: Ward
    suspects: dict[tuple[str, str], Suspect] = field(default_factory=dict)
    given_at: float = 0.0
    has_ended: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def may_take(self, now: float) -> bool:
        return not self.suspects or now >= self.given_at + STEADY_S

    def note_settled(self, queue: str, job_id: str) -> None:
        self.suspects.pop((queue, job_id), None)
        self.changed.set()


class Quarantine:
    """Takes over the jobs of dead processes and has each of them run alone.

    Args:
        start: starts a process that runs nothing but what it is given; gets the place's number.
        servers: where the jobs are.
        stop: set when the command is to stop.
    """

    def __init__(
        self, start: Callable[[int], Awaitable[Ward]], servers: Servers, stop: asyncio.Event
    ) -> None:
        self._start = start
        self._servers = servers
        self._stop = stop
        self._holder = secrets.token_hex(HOLDER_BYTES)
        self._number = 0
        for script in SCRIPTS:  # read now: when a process dies there may be no file to spare
            scripts.load(script)
        self._waiting: deque[Suspect] = deque()
        self._has_jobs = asyncio.Event()
        self._places: set[_Place] = set()
        self._failed_starts = 0
        self.has_room = asyncio.Event()
        """Cleared while so many jobs are in quarantine that no process is started for the queue."""
        self.has_room.set()

    async def adopt(self, claim: Claim) -> int:
        """Take over all that a dead process held.

        Returns:
            How many jobs it held.

        Raises:
            StoreUnavailable: the server cannot be reached; call it again.
        """
        store = self._servers.of(claim)
        find = recovery.find_all_held(claim.prefix, claim.queues, claim.holder)
        held = await recovery.run(store, find)
        self._number += 1
        adoption = recovery.adopt(
            claim.prefix,
            held,
            token=f"{self._holder}:{self._number}",
            lock_ms=claim.lock_ms,
            max_stalled=claim.max_stalled,
            how="alone" if len(held) == 1 else "beside",
        )
        if held:
            self._add(Suspect(job, claim) for job in await recovery.run(store, adoption))
        for queue in claim.queues:
            await store.run(registry.remove_worker(QueueKeys(claim.prefix, queue), claim.holder))
        return len(held)

    def take_over(self, claim: Claim, queue: str, job_id: str, token: str) -> None:
        """Take a job over that a living process has taken, and that must be run alone."""
        self._add([Suspect(HeldJob(queue, job_id, token), claim)])

    async def run(self) -> None:
        """Have the jobs run, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(1, PLACES + 1):
                group.create_task(self._serve(number))
            group.create_task(self._keep_locks())

    async def close(self) -> None:
        """Give back what was not run; for the next worker, which runs it alone."""
        jobs = self._all()
        self._waiting.clear()
        self._note_count()
        await self._give_back(jobs)

    def _all(self) -> list[Suspect]:
        """Every job in quarantine: those that wait, and those that were given to a process."""
        given = [one for place in self._places for one in place.suspects.values()]
        return [*self._waiting, *given]

    def _add(self, suspects: Iterable[Suspect]) -> None:
        self._waiting.extend(suspects)
        self._note_count()

    def _note_count(self) -> None:
        count = len(self._waiting)
        if count:
            self._has_jobs.set()
            for place in self._places:
                place.changed.set()
        else:
            self._has_jobs.clear()
        if count < MOST_JOBS or self._stop.is_set():
            self.has_room.set()
        else:
            self.has_room.clear()

    async def _serve(self, number: int) -> None:
        while True:
            await self._has_jobs.wait()
            idle_count = sum(not place.suspects for place in self._places)
            if len(self._waiting) <= idle_count or self._stop.is_set():
                await asyncio.sleep(GLANCE_S)  # those are about to take them
                continue
            first = self._waiting.popleft()
            self._note_count()
            try:
                ward = await self._start(number)
            except OSError as error:
                log.error("supervisor.not_started", extra={"reason": str(error)})  # noqa: TRY400
                self._add([first])
                await asyncio.sleep(START_WAIT_S)
                continue
            place = _Place(ward)
            ward.on_settled = place.note_settled
            self._places.add(place)
            self._give(place, first)
            try:
                async with asyncio.TaskGroup() as group:
                    watching = group.create_task(self._watch(place))
                    await self._feed(place)
                    await watching
            finally:
                self._places.discard(place)
            await self._after(place)

    async def _watch(self, place: _Place) -> None:
        await place.ward.run()
        place.has_ended = True
        place.changed.set()

    async def _feed(self, place: _Place) -> None:
        """Give a process one job after another until it has ended, or was idle for long."""
        idle_since = time.monotonic()
        while not place.has_ended:
            now = time.monotonic()
            if self._waiting and not self._stop.is_set() and place.may_take(now):
                self._give(place, self._waiting.popleft())
                self._note_count()
            if place.suspects:
                idle_since = now
            elif now - idle_since > IDLE_S:
                place.ward.terminate()
                idle_since = now
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await place.changed.wait()
            place.changed.clear()

    def _give(self, place: _Place, suspect: Suspect) -> None:
        job = suspect.job
        place.suspects[job.queue, job.id] = suspect
        place.given_at = time.monotonic()
        place.ward.assign(job.queue, job.id, job.token)

    async def _after(self, place: _Place) -> None:
        """Take back what a process held that has ended."""
        claim = place.ward.claim
        if claim is None:
            self._failed_starts += 1
            await asyncio.sleep(START_WAIT_S)
        else:
            self._failed_starts = 0
            await self._adopt_patiently(claim)
        known = {(one.job.queue, one.job.id) for one in self._waiting}
        # What it had not taken yet is still under the supervisor's lock; of the rest nothing is
        # found by the next process.
        self._add(one for key, one in place.suspects.items() if key not in known)
        if self._failed_starts >= MOST_STARTS:
            self._failed_starts = 0
            log.error("supervisor.quarantine_left", extra={"jobs": len(self._waiting)})
            waiting = list(self._waiting)
            self._waiting.clear()
            self._note_count()
            await self._give_back(waiting)

    async def _adopt_patiently(self, claim: Claim) -> None:
        while True:
            try:
                await self.adopt(claim)
            except StoreError as error:
                log.warning("supervisor.jobs_not_given_back: %s", error)
                if self._stop.is_set():
                    return
                await asyncio.sleep(LOOK_S)
            else:
                return

    async def _give_back(self, suspects: list[Suspect]) -> None:
        for suspect in suspects:
            claim = suspect.claim
            procedure = recovery.give_back(
                claim.prefix, [suspect.job], max_stalled=claim.max_stalled, how="not"
            )
            try:
                await recovery.run(self._servers.of(claim), procedure)
            except OxcartError as error:
                log.warning("supervisor.jobs_not_given_back: %s", error)
                return

    async def _keep_locks(self) -> None:
        """Renew the locks of the jobs that wait, and stay registered meanwhile."""
        registered: set[tuple[str, str, str]] = set()
        while True:
            if not registered:
                await self._has_jobs.wait()
            suspects = self._all()
            try:
                registered = await self._renew(suspects, registered)
            except (StoreError, OSError) as error:
                log.warning("supervisor.locks_not_renewed: %s", error)
            lock_ms = min((one.claim.lock_ms for one in suspects), default=30_000)
            await asyncio.sleep(min(beat_ms(lock_ms) / 1_000, LONGEST_BEAT_S))

    async def _renew(
        self, suspects: list[Suspect], registered: set[tuple[str, str, str]]
    ) -> set[tuple[str, str, str]]:
        wanted: dict[tuple[str, str, str], list[Suspect]] = {}
        for suspect in suspects:
            key = (suspect.claim.url, suspect.claim.prefix, suspect.job.queue)
            wanted.setdefault(key, []).append(suspect)
        for (_, prefix, queue), of_queue in wanted.items():
            claim, keys = of_queue[0].claim, QueueKeys(prefix, queue)
            store = self._servers.of(claim)
            pairs = [(one.job.id, one.job.token) for one in of_queue]
            await store.run(holding.extend_locks(keys, pairs, lock_ms=claim.lock_ms))
            beat = registry.beat(
                keys, self._record(claim, queue), clock=ServerClock(), missed_ms=registry.KEEP_MS
            )
            await store.run(beat)
        for url, prefix, queue in registered - wanted.keys():
            store = self._servers.at(url)
            await store.run(registry.remove_worker(QueueKeys(prefix, queue), self._holder))
        return set(wanted)

    def _record(self, claim: Claim, queue: str) -> WorkerRecord:
        return WorkerRecord(
            holder=self._holder,
            name="quarantine",
            process=this_process(),
            queues=(queue,),
            job_names=(),
            concurrency=0,
            lock_ms=claim.lock_ms,
            max_stalled=claim.max_stalled,
            version=__version__,
        )
