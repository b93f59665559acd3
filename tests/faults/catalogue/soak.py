"""Soak: random faults under a mixed load, checked by the same invariants as every scenario."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis
from tests.faults.catalogue.checks import check
from tests.faults.catalogue.ledger import (
    ACKNOWLEDGED,
    BEGUN,
    ENDED,
    POISON,
    SCHEDULED,
    Tally,
    count_new,
    lines_of,
)
from tests.faults.catalogue.parts import Process, ProxyThread, send
from tests.faults.catalogue.runner import versions
from tests.faults.catalogue.trial import QUEUES, Trial
from tests.faults.commands import WorkerCommand
from tests.support import ValkeyServer

from oxcart import Schedule
from oxcart.errors import OxcartError

KEEP = 20_000
"""How many completed jobs a queue keeps; the events account for the others."""
BACKLOG = 5_000
"""Producers add no more while so many jobs wait."""
DRAIN_S = 600
HISTORIES = 20
"""For so many innocent jobs that failed their runs are shown."""
STARTED_S = 10
"""After this long a program that was started handles signals."""
SCHEDULES = (1, 2, 3)
"""Intervals of the schedulers, in seconds."""
MIXED: list[dict[str, Any]] = [
    {"name": "work", "share": 60},
    {"name": "work", "share": 10, "priority": 10},
    {"name": "work", "share": 15, "delay": 3_000},
    {"name": "work", "share": 2, "data": {"ms": 400}},
    {"name": "work", "share": 3, "fill": 20_000},
    {
        "name": "retry", "kind": "r", "share": 5, "backoff_ms": 200,
        "data": {"failures": 2}, "options": {"attempts": 4},
    },
    {"name": "doomed", "share": 2, "kind": "x"},
]  # fmt: skip
POISONOUS: list[dict[str, Any]] = [
    {"name": "poison", "kind": POISON, "data": {"how": how, "ms": 100}}
    for how in ("exit", "kill", "segfault")
]
HARMFUL: list[dict[str, Any]] = [
    {"name": "block", "data": {"seconds": 2}},
    {"name": "hold_gil", "data": {"seconds": 2}},
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When the soak ends.

    Attributes:
        minutes: after this long, whatever was reached.
        jobs: as soon as so many jobs are acknowledged; 0: by the time alone.
        rate: jobs a second that the producers try to add.
    """

    minutes: float
    jobs: int = 0
    rate: float = 1_500


class Soak:
    """Runs the load and the faults.

    Args:
        trial: its server, programs and ledger.
        seed: of the random choices.
        limits: when it ends.
        say: shows one line of progress.
    """

    def __init__(
        self, trial: Trial, *, seed: int, limits: Limits, say: Callable[[str], None]
    ) -> None:
        self._trial = trial
        self._seed = seed
        self._limits = limits
        self._say = say
        self._random = random.Random(seed)  # noqa: S311  # a repeatable run
        self._tally = Tally()
        self._offset = 0
        self._last_end_ms = 0
        self._longest_gap_ms = 0
        self._faults: Counter[str] = Counter()
        self._killed: dict[int, int] = {}
        self._acknowledged = 0
        self._since: dict[int, float] = {}
        self._commands: list[WorkerCommand] = []
        self._own: list[Process] = []
        self._producers: list[tuple[Process, dict[str, Any]]] = []
        self._proxy: ProxyThread = trial.proxy()

    def run(self) -> dict[str, Any]:
        """Run to the end; gives the result."""
        started = time.monotonic()
        self._begin()
        until = started + 60 * self._limits.minutes
        shown = started
        while time.monotonic() < until and not self._is_enough():
            self._watch(self._random.uniform(0.5, 4))
            self._do_fault()
            if time.monotonic() - shown > 30:
                shown = time.monotonic()
                self._show(f"{shown - started:.0f} s: {self._acknowledged:,} acknowledged")
        loaded_s = time.monotonic() - started
        drained_s = self._drain()
        outcome = self._check()
        problems = [*self._trial.problems, *outcome.problems, *self._histories(outcome.innocents)]
        return {
            "soak": f"{self._limits.minutes:g} min",
            "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
            "seed": self._seed,
            "ok": not problems,
            "problems": problems,
            "figures": {
                **outcome.figures,
                **self._schedule_figures(loaded_s),
                "jobs_per_s": round(self._acknowledged / loaded_s),
                "drained_s": round(drained_s, 1),
                "longest_gap_s": round(self._longest_gap_ms / 1_000, 1),
                "worker_deaths": self._deaths(),
                "processes_killed": len(self._killed),
                "faults": dict(self._faults),
            },
            "seconds": round(time.monotonic() - started),
            "versions": versions(),
        }

    def _show(self, text: str) -> None:
        """Show the progress, if the server can be asked just now."""
        with suppress(redis.RedisError):
            self._say(f"{text}, {self._faults.total()} faults, {self._trial.describe()}")

    # The load

    def _begin(self) -> None:
        trial = self._trial
        trial.queue.open()
        for every in SCHEDULES:
            trial.queue.upsert_scheduler(f"every-{every}", Schedule.every(f"{every}s"), "tick")
        self._start_command("--processes", "2")
        self._start_command(url=self._proxy.url)
        self._start_own()
        rate = self._limits.rate
        self._produce(rate=rate * 0.5, batch=100, own_ids=True, recipes=MIXED)
        self._produce(rate=rate * 0.2, batch=50, recipes=MIXED)
        self._produce(rate=rate * 0.2, batch=50, recipes=MIXED, queue="low")
        self._produce(rate=rate * 0.1, batch=5, children=3)
        self._produce(rate=0.05, own_ids=True, recipes=POISONOUS, backlog=0)
        self._produce(rate=0.1, own_ids=True, recipes=HARMFUL, backlog=0)

    def _produce(self, **options: Any) -> None:
        number = len(self._producers)
        given = {"backlog": BACKLOG, "seed": self._seed * 1_000 + number, **options}
        self._producers.append((self._trial.producer(**given), given))

    def _start_command(self, *options: str, url: str | None = None) -> None:
        command = self._trial.worker(
            *options, url=url, concurrency=30, low=20, wait=False,
            OXCART_LOG_LEVEL="warning", OXCART_METRICS_MINUTES="0", TEST_KEEP=str(KEEP),
        )  # fmt: skip
        self._since[command.process.pid] = time.monotonic()
        self._commands.append(command)

    def _start_own(self) -> None:
        variables = {"TEST_KEEP": str(KEEP), "TEST_LOG_LEVEL": "WARNING"}
        program = self._trial.own(
            concurrency=20, low=10, wait=False, url=self._proxy.url, variables=variables
        )
        self._since[program.pid] = time.monotonic()
        self._own.append(program)

    def _wait_for_start(self, since: float) -> None:
        """Wait until a program that was started just now handles signals."""
        self._watch(max(0.0, since + STARTED_S - time.monotonic()))

    def _is_enough(self) -> bool:
        return bool(self._limits.jobs) and self._acknowledged >= self._limits.jobs

    def _watch(self, seconds: float) -> None:
        """Count what the ledger and the events have new, for so long."""
        until = time.monotonic() + seconds
        while True:
            self._offset, lines = count_new(self._trial.path, self._offset, self._tally)
            for line in lines:
                if line.kind == ACKNOWLEDGED:
                    self._acknowledged += 1
                elif line.kind == ENDED:
                    if self._last_end_ms:
                        gap = line.at_ms - self._last_end_ms
                        self._longest_gap_ms = max(self._longest_gap_ms, gap)
                    self._last_end_ms = max(self._last_end_ms, line.at_ms)
            with suppress(redis.RedisError):
                self._trial.finishes.read(self._trial.client, self._trial.prefix, QUEUES)
            if time.monotonic() > until:
                return
            time.sleep(0.3)

    # The faults

    def _do_fault(self) -> None:
        faults: dict[str, tuple[int, Callable[[], None]]] = {
            "kill_child": (8, self._kill_child),
            "kill_tree": (3, self._kill_tree),
            "kill_supervisor": (2, self._kill_supervisor),
            "kill_own": (3, self._kill_own),
            "stop_child": (3, self._stop_child),
            "stop_own": (2, self._stop_own),
            "client_kill": (4, self._client_kill),
            "half_open": (3, lambda: self._proxy.do(lambda proxy: proxy.half_open())),
            "reset": (4, lambda: self._proxy.do(lambda proxy: proxy.cut())),
            "script_flush": (4, lambda: self._command("SCRIPT", "FLUSH")),
            "client_pause": (2, self._client_pause),
            "server_killed": (2, self._kill_server),
            "rolling_restart": (3, self._rolling_restart),
            "producer_killed": (3, self._kill_producer),
            "thin_line": (2, self._thin_line),
        }
        self._replace_dead()
        name = self._random.choices(list(faults), [weight for weight, _ in faults.values()])[0]
        self._faults[name] += 1
        faults[name][1]()

    def _replace_dead(self) -> None:
        """Start what ended by itself: poison ends a program without a supervisor."""
        if not self._own[-1].is_alive:
            self._faults["own_ended"] += 1
            self._own.pop()
            self._start_own()
        for number, command in enumerate(self._commands):
            if command.process.poll() is not None:
                code = command.process.returncode
                self._trial.problems.append(f"command {number} ended by itself with code {code}")
                self._start_in_place(number)

    def _kill_child(self) -> None:
        children = self._random.choice(self._commands).children()
        if children:
            self._kill(self._random.choice(children))

    def _kill_tree(self) -> None:
        def end(command: WorkerCommand) -> None:
            for pid in (command.process.pid, *command.children()):
                self._kill(pid)

        self._replace_command(end)

    def _kill(self, pid: int) -> None:
        self._killed[pid] = int(time.time() * 1_000)
        send(pid, signal.SIGKILL)

    def _kill_supervisor(self) -> None:
        self._replace_command(lambda command: command.process.kill())

    def _replace_command(self, end: Callable[[WorkerCommand], object]) -> None:
        number = self._random.randrange(2)
        end(self._commands[number])
        self._trial.reap(self._commands[number])
        self._start_in_place(number)

    def _start_in_place(self, number: int) -> None:
        """Start a command in the place of one that has ended."""
        if number == 0:
            self._start_command("--processes", "2")
        else:
            self._start_command(url=self._proxy.url)
        self._commands[number] = self._commands.pop()

    def _rolling_restart(self) -> None:
        def end(command: WorkerCommand) -> None:
            self._wait_for_start(self._since[command.process.pid])
            command.process.terminate()
            code = self._trial.ended(command.process, within=60)
            self._trial.expect(code == 0, f"a command ended with code {code} after SIGTERM")

        self._replace_command(end)

    def _kill_own(self) -> None:
        self._kill(self._own[-1].pid)
        self._own.pop().kill()
        self._start_own()

    def _stop_child(self) -> None:
        children = self._random.choice(self._commands).children()
        if children:
            with self._trial.stopped(self._random.choice(children)):
                self._watch(self._random.choice((2, 5, 12)))

    def _stop_own(self) -> None:
        with self._trial.stopped(self._own[-1].pid):
            self._watch(self._random.choice((2, 5, 35)))

    def _client_kill(self) -> None:
        self._command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def _client_pause(self) -> None:
        pause = self._random.randrange(500, 5_000)
        self._command("CLIENT", "PAUSE", pause)
        time.sleep(pause / 1_000)

    def _kill_server(self) -> None:
        self._trial.server.kill()
        time.sleep(self._random.choice((0.1, 1, 4)))
        self._trial.server.start()

    def _kill_producer(self) -> None:
        number = self._random.randrange(len(self._producers))
        producer, options = self._producers.pop(number)
        producer.kill()
        self._produce(**{**options, "seed": self._random.randrange(1 << 30)})

    def _thin_line(self) -> None:
        self._proxy.do(lambda proxy: setattr(proxy, "bytes_per_s", 200_000))
        self._watch(self._random.choice((5, 15)))
        self._proxy.do(lambda proxy: setattr(proxy, "bytes_per_s", None))

    def _command(self, *words: str | int) -> None:
        with suppress(redis.RedisError):
            self._trial.client.execute_command(*words)

    # The end

    def _drain(self) -> float:
        for producer, _ in self._producers:
            producer.signal(signal.SIGTERM)
        for producer, _ in self._producers:
            self._trial.ended(producer.process, within=30)
        for every in SCHEDULES:
            with suppress(OxcartError):
                self._trial.queue.remove_scheduler(f"every-{every}")
        self._show("the producers have ended")
        started = time.monotonic()
        while not self._trial.is_settled() and time.monotonic() < started + DRAIN_S:
            self._watch(1)
        seconds = time.monotonic() - started
        if seconds > DRAIN_S:
            self._trial.problems.append(f"not drained after {DRAIN_S} s: {self._trial.describe()}")
        self._wait_for_start(max(self._since.values()))
        ending = [one.process for one in self._commands] + [
            one.process for one in self._own if one.is_alive
        ]
        for process in ending:
            process.terminate()
        for process in ending:
            code = self._trial.ended(process, within=60)
            self._trial.expect(code == 0, f"a worker ended with code {code} after SIGTERM")
        self._watch(1)
        return seconds

    def _check(self) -> Any:
        return check(
            self._trial.client,
            self._trial.prefix,
            QUEUES,
            tally=self._tally,
            finishes=self._trial.finishes,
            allowed=self._trial.allowed,
        )

    def _histories(self, references: Sequence[str]) -> list[str]:
        """Where each of these jobs ran, and which of the processes the soak itself killed."""
        wanted = set(references[:HISTORIES])
        if not wanted:
            return []
        runs: dict[str, list[str]] = {reference: [] for reference in wanted}
        for line in lines_of(self._trial.path):
            if line.reference in wanted and line.kind in (BEGUN, ENDED):
                killed = self._killed.get(line.pid)
                end = "" if killed is None else f" killed at {killed}"
                runs[line.reference].append(f"{line.kind} {line.at_ms} pid {line.pid}{end}")
        return [f"{reference}: {'; '.join(lines)}" for reference, lines in runs.items()]

    def _schedule_figures(self, seconds: float) -> dict[str, Any]:
        """How many slots of the schedulers had no run."""
        slots: Counter[str] = Counter()
        for reference, record in self._tally.of_kind(SCHEDULED):
            if record.begun:
                slots[reference.split(":")[1]] += 1
        missed = {}
        for every in SCHEDULES:
            expected = int(seconds / every)
            share = max(0, expected - slots[f"every-{every}"]) / max(1, expected)
            missed[f"every-{every}"] = f"{share:.1%}"
        return {"slots_missed": missed}

    def _deaths(self) -> int:
        return sum(log.count("supervisor.worker_died") for log in self._trial.logs())


def soak(*, seed: int, limits: Limits, say: Callable[[str], None]) -> dict[str, Any]:
    """Run a soak on a server of its own, with an append-only file."""
    server = ValkeyServer(is_durable=True, options=("--appendfsync", "everysec"))
    with Trial(server=server) as trial:
        trial.client.config_set("save", "")
        try:
            return Soak(trial, seed=seed, limits=limits, say=say).run()
        finally:
            trial.keep_logs(f"soak-{seed}")
