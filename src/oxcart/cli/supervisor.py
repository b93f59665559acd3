"""``oxcart worker``: a small process that runs no jobs and looks after those that do.

What may happen to a process that runs jobs does not happen here, because no code of a user's runs
here: it does not crash, grow or stand still. So it sees at once when one of the others dies, gives
back the jobs that it held, and starts another. See docs/decisions/0011-a-process-that-watches.md.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oxcart._engine.claim import Claim
from oxcart._engine.ending import end
from oxcart._engine.reconnect import Reconnect
from oxcart.cli.children import Children
from oxcart.cli.late_logs import start_observing_late
from oxcart.cli.lifeline import has_parent, watch_parent
from oxcart.cli.line import ChildLine
from oxcart.cli.pulse import outside_of
from oxcart.cli.quarantine import Quarantine
from oxcart.cli.reaper import reap_strangers
from oxcart.cli.relay import Relay
from oxcart.cli.restarts import Fleet, Restarts
from oxcart.cli.start_checks import read_settings
from oxcart.cli.ward import Servers, Ward
from oxcart.errors import StoreError

if TYPE_CHECKING:
    from oxcart.settings import Settings

log = logging.getLogger("oxcart.cli")

MARGIN_S = 8
"""How much longer than their grace the processes may take before they are killed."""
GIVE_BACK_S = 30.0
"""How long a server that cannot be reached is tried; then the stalled check has come anyway."""
GIVE_BACK_FIRST_S = 1.0
"""How long the next process waits for the server to tell what the last one held."""
AGAIN_S = 2.0
"""What a dead process had sent may reach the server after we did: it is asked once more."""
TERMINATED = 128 + signal.SIGTERM
NOT_STARTED = 1
"""Exit code when the system starts no process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be run.

    Attributes:
        settings: of this process.
        processes: how many run jobs; 0: this one, without a supervisor.
        arguments: of the command of each process, without its name.
        name: the workers' name in dashboards, as it was given.
    """

    settings: Settings
    processes: int
    arguments: tuple[str, ...]
    name: str | None

    def arguments_of(self, number: int, *, is_alone: bool = False) -> list[str]:
        """The command of one process; of several, each has a name of its own."""
        if self.name is None:
            return [*self.arguments]
        name = f"{self.name}-{number}" if self.processes > 1 else self.name
        if is_alone:
            name = f"{self.name}-quarantine-{number}"
        return [*self.arguments, "--name", name]


def plan(
    app: str | None, queues: Sequence[str], *, name: str | None, processes: int | None
) -> Plan:
    """Plan from the command's options and the settings.

    Raises:
        ConfigError: naming every setting that is wrong; nothing is started then.
    """
    settings, _ = read_settings("worker" if app is None else "worker of an application")
    arguments = ["worker", *([] if app is None else [app])]
    for queue in queues:
        arguments += ["--queue", queue]
    return Plan(
        settings=settings,
        processes=settings.processes if processes is None else processes,
        arguments=tuple(arguments),
        name=name,
    )


async def supervise(planned: Plan) -> int:
    """Run processes that run jobs, until a signal, which all are given; so is each further signal.

    Returns:
        The exit code: that of the process that ended by itself or could not be started, else 0.

    Raises:
        ConfigError: ``OXCART_HEALTH_DIR`` cannot be used.
    """
    start_observing_late(planned.settings)
    relay = Relay(*outside_of("worker", planned.settings), processes=planned.processes)
    stop_s = planned.settings.grace_seconds + MARGIN_S
    try:
        async with Children(stop_s=stop_s) as children:
            return await Supervisor(planned, children, relay).run()
    finally:
        relay.end()


class Supervisor:
    """Keeps processes running, one in each of a number of places.

    Args:
        planned: what to run.
        children: starts and stops the processes.
        relay: tells on what they say of themselves.
    """

    def __init__(self, planned: Plan, children: Children, relay: Relay) -> None:
        self._plan = planned
        self._children = children
        self._relay = relay
        self._servers = Servers()
        self._fleet = Fleet()
        self._wards: dict[int, Ward] = {}
        self._stop = asyncio.Event()
        self._quarantine = Quarantine(self._start_alone, self._servers, self._stop)
        self._giving = asyncio.TaskGroup()

    async def run(self) -> int:
        """Run until all processes have ended; gives the exit code."""
        self._stop_on_signals()
        try:
            async with self._giving, asyncio.TaskGroup() as group:
                stopping = group.create_task(self._stop_when_told())
                aside = [
                    group.create_task(reap_strangers(self._children)),
                    group.create_task(self._relay.beat_while_none_runs()),
                ]
                quarantine = group.create_task(self._quarantine.run())
                async with asyncio.TaskGroup() as places:
                    numbers = range(1, self._plan.processes + 1)
                    filled = [places.create_task(self._fill(number)) for number in numbers]
                if self._stop.is_set():
                    await self._children.stop()
                await end(*aside, quarantine)
                await self._quarantine.close()
                if not self._stop.is_set():
                    await end(stopping)
        finally:
            await self._servers.aclose()
        codes = [task.result() for task in filled]
        code = next((code for code in codes if code), 0)
        return 128 - code if code < 0 else code

    def _stop_on_signals(self) -> None:
        loop = asyncio.get_running_loop()
        if has_parent():  # see `on_stop` of the programs
            loop.add_signal_handler(signal.SIGTERM, self._stop.set)
            loop.add_signal_handler(signal.SIGINT, self._hurry)
        else:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self._on_signal)
        watch_parent(self._stop.set)

    def _on_signal(self) -> None:
        if self._stop.is_set():
            self._hurry()
        self._stop.set()

    def _hurry(self) -> None:
        self._stop.set()
        self._children.terminate(signal.SIGINT)

    async def _stop_when_told(self) -> None:
        await self._stop.wait()
        self._quarantine.has_room.set()
        await self._children.stop()

    async def _fill(self, number: int) -> int:
        """Have a process in one place until all are to stop, or give up; the last exit code."""
        restarts = Restarts(number, self._fleet)
        while True:
            code, wait_s = await self._run_one(number, restarts)
            if wait_s is None:
                return code
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._stop.wait()
                    return 0
            await self._quarantine.has_room.wait()

    async def _run_one(self, number: int, restarts: Restarts) -> tuple[int, float | None]:
        """Run a process; its exit code, and how long to wait for the next, if there is one."""
        started_at = time.monotonic()
        try:
            ward = await self._start(number)
        # Too many files or processes just now: what the last one held must go back all the same.
        except OSError as error:
            log.error("supervisor.not_started", extra={"reason": str(error)})  # noqa: TRY400
            return NOT_STARTED, self._next_in(restarts, NOT_STARTED)
        self._wards[number] = ward
        try:
            code = await ward.run()
        finally:
            del self._wards[number]
        has_died = ward.has_died(code)
        has_lost_jobs = False
        if has_died and ward.claim is not None:
            giving = self._giving.create_task(self._give_back(ward.claim))
            # What it held is known before the next process begins to take jobs.
            await asyncio.wait([giving], timeout=GIVE_BACK_FIRST_S)
            has_lost_jobs = not giving.done() or giving.result() > 0
        has_ended_well = code == 0 and ward.claim is None
        if self._stop.is_set() or has_ended_well:
            return self._last_code(ward, code, has_died=has_died), None
        lived_s = time.monotonic() - started_at
        wait_s = self._next_in(
            restarts,
            code,
            has_served=ward.claim is not None,
            lived_s=lived_s,
            has_lost_jobs=has_lost_jobs,
        )
        if wait_s is not None:
            facts = {"pid": ward.pid, "ended_by": _cause(code), "restart_in_s": wait_s}
            if has_died:
                log.error("supervisor.worker_died", extra=facts)
            else:
                log.warning("supervisor.worker_ended", extra=facts)
        return code, wait_s

    def _last_code(self, ward: Ward, code: int, *, has_died: bool) -> int:
        """The exit code of a process that is not replaced, since all are to stop or it was done."""
        if ward.claim is None:
            return TERMINATED if code < 0 else code
        if has_died and code != -signal.SIGKILL:
            # A job ended the process while it stopped. What it held is given back as after any
            # death, so that the stop itself has succeeded. One that had to be killed has not.
            log.error("supervisor.worker_died", extra={"pid": ward.pid, "ended_by": _cause(code)})
            return 0
        return code

    def _next_in(
        self,
        restarts: Restarts,
        code: int,
        *,
        has_served: bool = False,
        lived_s: float = 0.0,
        has_lost_jobs: bool = False,
    ) -> float | None:
        """How long to wait for the next process, or give up and stop them all."""
        wait_s = restarts.wait_s(
            code,
            has_served=has_served,
            lived_s=lived_s,
            has_lost_jobs=has_lost_jobs,
            others_serve=any(ward.claim is not None for ward in self._wards.values()),
        )
        if wait_s is None:
            if code < 0 or restarts.has_restarted:  # else it has said itself what is wrong
                log.error("supervisor.gave_up", extra={"ended_by": _cause(code)})
            self._stop.set()
        return wait_s

    async def _start(self, number: int) -> Ward:
        ward = await self._start_process(f"worker {number}", number, self._relay)
        ward.on_handed_over = self._quarantine.take_over
        return ward

    async def _start_alone(self, number: int) -> Ward:
        """Start a process that runs nothing but what the quarantine gives it."""
        return await self._start_process(f"quarantine {number}", number, None)

    async def _start_process(self, name: str, number: int, relay: Relay | None) -> Ward:
        settings = self._plan.settings
        line = ChildLine(
            self._relay.watchdog_s, start_s=settings.start_seconds, runs_assigned=relay is None
        )
        try:
            process = await self._children.start(
                name,
                *self._plan.arguments_of(number, is_alone=relay is None),
                environ=_environ_of_children() | line.variable,
                fds=line.fds,
            )
        except OSError:
            line.close()
            raise
        finally:
            line.let_go()
        if self._stop.is_set():  # the others have been told without it
            process.kill()
        return Ward(
            number,
            process,
            line,
            relay,
            self._servers,
            self._stop,
            frozen_s=settings.frozen_seconds,
            start_s=settings.start_seconds,
            stop_s=settings.grace_seconds + MARGIN_S,
        )

    async def _give_back(self, claim: Claim) -> int:
        """Have what a dead process held run alone; returns how many jobs it held."""
        count = await self._adopt(claim)
        if count is not None:
            self._giving.create_task(self._adopt_again(claim))
        return count or 0

    async def _adopt_again(self, claim: Claim) -> None:
        """Look once more: a call of the dead process may have reached the server after ours."""
        with suppress(TimeoutError):
            async with asyncio.timeout(AGAIN_S):
                await self._stop.wait()
        await self._adopt(claim)

    async def _adopt(self, claim: Claim) -> int | None:
        reconnect, begun = Reconnect(), time.monotonic()
        while True:
            try:
                return await self._quarantine.adopt(claim)
            except StoreError as error:
                if self._stop.is_set() or time.monotonic() - begun > GIVE_BACK_S:
                    log.error("supervisor.jobs_not_given_back: %s", error)  # noqa: TRY400
                    return None
                await reconnect.wait()


def _environ_of_children() -> dict[str, str]:
    """The environment, without what this process sees to for all of them."""
    return {name: value for name, value in os.environ.items() if name != "OXCART_HEALTH_DIR"}


def _cause(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
