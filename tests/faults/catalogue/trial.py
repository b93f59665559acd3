"""One trial of a scenario: its server, proxy, workers, producers, ledger, problems and figures."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import redis
from tests.faults.catalogue.checks import Allowed, Finishes, check, settled
from tests.faults.catalogue.ledger import (
    ACKNOWLEDGED,
    BEGUN,
    ENDED,
    GOOD,
    REFUSED,
    TRIED,
    LedgerWriter,
    Line,
    lines_of,
    tally_of,
)
from tests.faults.catalogue.parts import EmbeddedServer, Process, ProxyThread, send
from tests.faults.commands import PROGRAMS, ROOT, WorkerCommand
from tests.faults.processes import Ledger
from tests.integration.cli.programs import environment
from tests.partition import picture_of
from tests.support import ValkeyServer

from oxcart import JobOptions, JobSpec
from oxcart.errors import OxcartError
from oxcart.sync import Queue

QUEUES = ("q", "low", "flow")
EVENTS_LENGTH = 200_000


class Trial:
    """What a scenario works with; everything that it started ends with it.

    Args:
        server: the server, not started yet; default: a Valkey without persistence.
        lock: how long locks last.
        stalled_interval: time between two stalled checks.
    """

    def __init__(
        self,
        *,
        server: ValkeyServer | EmbeddedServer | None = None,
        lock: str = "30s",
        stalled_interval: str = "30s",
    ) -> None:
        self._stack = ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="oxcart-fault-"))
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.prefix = "trial"
        self.path = self.folder / "ledger"
        self.book = LedgerWriter(self.path)
        self.lock, self.stalled_interval = lock, stalled_interval
        self.problems: list[str] = []
        self.figures: dict[str, Any] = {}
        self.allowed = Allowed()
        self.finishes = Finishes()
        self.server: Any = server or ValkeyServer()
        self._is_embedded = isinstance(server, EmbeddedServer)
        if self._is_embedded:
            self.server.folder = self.folder / "data"
        self.slack = 1.0
        """What limits of time are multiplied with."""
        self._programs: list[Process] = []
        self._commands: list[WorkerCommand] = []
        self._producers = 0
        self._added = 0
        self._is_checked = False

    def __enter__(self) -> Self:
        """Start the server."""
        self.server.start()
        self._stack.callback(self.server.remove)
        self._stack.callback(self.end_programs)
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        self._stack.close()

    @cached_property
    def client(self) -> Any:
        """A plain client of the server."""
        client = redis.Redis.from_url(self.server.url, socket_timeout=120)
        self._stack.callback(client.close)
        return client

    @cached_property
    def queue(self) -> Queue:
        """The queue that the scenario adds jobs to itself."""
        queue = Queue(
            "q", redis_url=self.server.url, prefix=self.prefix, events_length=EVENTS_LENGTH
        )
        self._stack.callback(queue.close)
        return queue

    def proxy(self) -> ProxyThread:
        """Start a proxy to the server."""
        proxy = ProxyThread(self.server.url)
        self._stack.callback(proxy.close)
        return proxy

    # Programs

    def environment(self, *, url: str | None = None, **more: str) -> dict[str, str]:
        """The environment of the trial's programs."""
        return environment(
            self.folder,
            **{
                **({} if (found := self._url(url)) is None else {"REDIS_URL": found}),
                "TEST_PREFIX": self.prefix,
                "TEST_LEDGER": str(self.path),
                "TEST_LOCK": self.lock,
                "TEST_STALLED_INTERVAL": self.stalled_interval,
                "PYTHONPATH": f"{PROGRAMS}{os.pathsep}{ROOT}",
                **more,
            },
        )

    def worker(
        self,
        *options: str,
        url: str | None = None,
        concurrency: int = 10,
        low: int = 2,
        before: Sequence[str] = (),
        wait: bool = True,
        **variables: str,
    ) -> WorkerCommand:
        """Start ``oxcart worker`` and wait until it runs.

        Args:
            options: more of the command.
            url: the server's, where it is not reached directly.
            concurrency: of queue ``q``.
            low: of the other queues.
            before: a command that runs it.
            wait: wait until the worker has started.
            variables: more of its environment.
        """
        queues = (f"q:{concurrency}", f"low:{low}", f"flow:{low}")
        command = WorkerCommand(
            *(word for queue in queues for word in ("-q", queue)),
            *options,
            folder=self.folder,
            prefix=self.prefix,
            ledger=Ledger(self.path),
            url=self._url(url),
            lock=self.lock,
            app="catalogue_app:app",
            before=before,
            TEST_STALLED_INTERVAL=self.stalled_interval,
            **variables,
        )
        self._commands.append(command)
        if wait:
            self.wait_until(
                lambda: "worker.started" in command.output(), within=60, what="a worker to start"
            )
        return command

    def own(
        self,
        *,
        url: str | None = None,
        concurrency: int = 10,
        low: int = 2,
        loop: str = "uvloop",
        wait: bool = True,
        before: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Process:
        """Start a program that runs ``App.worker`` itself, and wait until it runs."""
        given = {
            "queues": {"q": concurrency, "low": low, "flow": low},
            "options": options,
            "loop": loop,
        }
        words = [*before, sys.executable, str(PROGRAMS / "catalogue_own.py"), json.dumps(given)]
        program = self.program(words, url=url, **(variables or {}))
        if wait:
            self.wait_until(
                lambda: "worker.started" in program.output(), within=60, what="a program to start"
            )
        return program

    def producer(
        self,
        *,
        count: int = 1_000_000_000,
        rate: float = 100,
        batch: int = 1,
        queue: str = "q",
        recipes: Sequence[Mapping[str, Any]] = ({"name": "work"},),
        own_ids: bool = False,
        children: int = 0,
        backlog: int = 0,
        url: str | None = None,
        before: Sequence[str] = (),
        seed: int = 1,
    ) -> Process:
        """Start a producer process.

        Args:
            count: how many adds must be acknowledged.
            rate: jobs a second.
            batch: how many jobs an add has.
            queue: where they go.
            recipes: the kinds of jobs, with their shares.
            own_ids: give each job its reference as id, and repeat a refused add with the same ids.
            children: add flows with so many children instead of single jobs.
            backlog: add no more while so many jobs wait; 0: no limit.
            url: the server's, where it is not reached directly.
            before: a command that runs the producer.
            seed: of its random choices.
        """
        self._producers += 1
        given = {
            "number": self._producers, "count": count, "rate": rate, "batch": batch,
            "queue": queue, "recipes": list(recipes), "own_ids": own_ids, "children": children,
            "backlog": backlog, "seed": seed,
        }  # fmt: skip
        words = [sys.executable, str(PROGRAMS / "catalogue_producer.py"), json.dumps(given)]
        return self.program(words, url=url, before=before)

    def program(
        self,
        words: Sequence[str],
        *,
        url: str | None = None,
        before: Sequence[str] = (),
        **variables: str,
    ) -> Process:
        """Start any program in the trial's environment."""
        log = self.folder / f"program-{len(self._programs)}.log"
        program = Process(
            [*before, *words],
            env=self.environment(url=url, **variables),
            log=log,
            folder=self.folder,
        )
        self._programs.append(program)
        return program

    def killed_pid(self, pid: int) -> None:
        """Kill one process of the trial."""
        send(pid, signal.SIGKILL)

    def killed(self, program: WorkerCommand | Process) -> None:
        """Kill a program and everything that it started at the same moment."""
        if isinstance(program, WorkerCommand):
            for pid in (program.process.pid, *program.children()):
                send(pid, signal.SIGKILL)
            program.process.wait()
        else:
            program.kill()

    # Jobs

    def add(
        self,
        name: str,
        *,
        count: int = 1,
        kind: str = GOOD,
        options: Mapping[str, Any] | None = None,
        queue: Queue | None = None,
        **data: Any,
    ) -> list[str]:
        """Add jobs and write them to the ledger; gives their ids."""
        references = [f"{kind}0.{self._added + number}" for number in range(count)]
        self._added += count
        specs = [
            JobSpec(
                name=name, data={"ref": reference, **data}, options=JobOptions(**(options or {}))
            )
            for reference in references
        ]
        self.book.write_all(TRIED, [(reference, "-") for reference in references])
        target = queue or self.queue
        try:
            jobs = target.add_many(specs) if count > 1 else [target.add_spec(specs[0])]
        except OxcartError as error:
            self.book.write(REFUSED, references[0], type(error).__name__)
            raise
        ids = [job.id for job in jobs]
        pairs = zip(references, ids, strict=True)
        self.book.write_all(
            ACKNOWLEDGED, [(reference, f"{target.name}:{job_id}") for reference, job_id in pairs]
        )
        return ids

    def lines(self, kind: str) -> Iterator[Line]:
        """The ledger's lines of one kind."""
        return (line for line in lines_of(self.path) if line.kind == kind)

    def starts(self, job_ids: Sequence[str] | None = None) -> int:
        """How many runs have begun, of these jobs or of all."""
        wanted = None if job_ids is None else set(job_ids)
        return sum(wanted is None or line.job_id in wanted for line in self.lines(BEGUN))

    def ends(self, job_ids: Sequence[str] | None = None) -> int:
        """How many runs have reached their end, of these jobs or of all."""
        wanted = None if job_ids is None else set(job_ids)
        return sum(wanted is None or line.job_id in wanted for line in self.lines(ENDED))

    def count(self, state: str, queue: str = "q") -> int:
        """How many jobs are in a state."""
        key = f"{self.prefix}:{queue}:{state}"
        if state in ("wait", "active"):
            length: Any = self.client.llen(key)
            return int(length)
        return int(self.client.zcard(key))

    def state_of(self, job_id: str, queue: str = "q") -> str:
        """The state of a job that is completed, failed or neither."""
        for state in ("completed", "failed"):
            if self.client.zscore(f"{self.prefix}:{queue}:{state}", job_id) is not None:
                return state
        return "open"

    def field(self, job_id: str, name: str, queue: str = "q") -> str:
        """A field of a job's hash, or nothing."""
        value: Any = self.client.hget(f"{self.prefix}:{queue}:{job_id}", name)
        return "" if value is None else value.decode()

    def next_job(self, *, within: float = 120, queue: Queue | None = None) -> float:
        """Add a job of no duration and wait until it runs; gives the seconds from now."""
        started = time.monotonic()
        [job_id] = self.add("work", queue=queue)
        self.wait_until(lambda: self.ends([job_id]) > 0, within=within, what="the next job to run")
        return time.monotonic() - started

    # Waiting and checking

    def wait_until(
        self, condition: Callable[[], object], *, within: float = 60, what: str, step: float = 0.02
    ) -> float:
        """Wait until a condition holds; gives the seconds that it took.

        ``{states}`` in what is waited for stands for the counts of the states at the end.

        Raises:
            AssertionError: it does not hold in time.
        """
        started = time.monotonic()
        while not condition():
            if time.monotonic() - started > within:
                text = what.replace("{states}", self.describe()) if "{states}" in what else what
                raise AssertionError(f"waited {within:g} s for {text}")
            time.sleep(step)
        return time.monotonic() - started

    def wait_for_starts(self, count: int, *, within: float = 60) -> None:
        """Wait until so many runs have begun."""
        self.wait_until(
            lambda: self.starts() >= count, within=within, what=f"{count} runs to begin"
        )

    def settle(self, *, within: float = 120) -> float:
        """Wait until every job is completed or failed; gives the seconds that it took."""
        return self.wait_until(
            self.is_settled,
            within=within,
            step=0.1,
            what="all jobs to be settled; now: {states}",
        )

    def is_settled(self) -> bool:
        """Whether every job is completed or failed."""
        return all(self._is_settled(queue) for queue in QUEUES)

    def ended(self, process: subprocess.Popen[bytes], *, within: float) -> int:
        """The exit code of a process that is about to end; it is killed when it does not."""
        try:
            return process.wait(within)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def reap(self, command: WorkerCommand) -> None:
        """Wait for the end of a command that was killed."""
        command.process.wait()

    def logs(self) -> Iterator[str]:
        """The output of each command."""
        return (command.output() for command in self._commands)

    def keep_logs(self, name: str) -> None:
        """Copy the outputs to a folder that stays, for reading after a failure."""
        folder = Path(tempfile.gettempdir()) / f"oxcart-{name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for log in self.folder.glob("*.log"):
            shutil.copy(log, folder)
        if self.problems:
            shutil.copy(self.path, folder)

    def describe(self) -> str:
        """The counts of the queue's states."""
        states = ("wait", "active", "delayed", "prioritized", "completed", "failed")
        return ", ".join(f"{self.count(state)} {state}" for state in states)

    def expect(self, holds: object, promise: str) -> None:
        """Note a promise that does not hold as a problem."""
        if not holds:
            self.problems.append(promise)

    def at_most(self, name: str, value: float, limit: float) -> None:
        """Record a figure in seconds and expect it to be within a limit."""
        self.figures[name] = round(value, 2)
        limit *= self.slack
        self.expect(value <= limit, f"{name} is {value:.1f}, promised are at most {limit:g}")

    def check(self) -> None:
        """Check the invariants; the runner does so at the end if the scenario did not."""
        if self._is_checked:
            return
        self._is_checked = True
        outcome = check(
            self.client,
            self.prefix,
            QUEUES,
            tally=tally_of(self.path),
            finishes=self.finishes,
            allowed=self.allowed,
        )
        self.problems += outcome.problems
        self.figures = {**outcome.figures, **self.figures}

    def tail(self, lines: int = 15) -> str:
        """The last lines of each program's output, for a problem that needs explaining."""
        outputs = [command.output() for command in self._commands]
        outputs += [program.output() for program in self._programs]
        return "\n".join("\n".join(text.splitlines()[-lines:]) + "\n--" for text in outputs)

    @contextmanager
    def stopped(self, *pids: int) -> Iterator[None]:
        """Let processes stand still while the body runs."""
        for pid in pids:
            send(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                send(pid, signal.SIGCONT)

    def _url(self, url: str | None) -> str | None:
        """The server's URL for a program; none, if it is to use the data folder."""
        return None if self._is_embedded else url or str(self.server.url)

    def _is_settled(self, queue: str) -> bool:
        base = f"{self.prefix}:{queue}:"
        pipe = self.client.pipeline(transaction=False)
        pipe.llen(base + "wait").llen(base + "active").llen(base + "paused")
        pipe.zcard(base + "prioritized").zcard(base + "delayed").zcard(base + "waiting-children")
        counts = pipe.execute()
        if not any(counts):
            return True
        if sum(counts) > 50:
            return False
        return settled(picture_of(self.client, self.prefix, queue))

    def end_programs(self) -> None:
        """Kill every program that still runs."""
        for program in self._programs:
            send(program.pid, signal.SIGCONT)
            program.kill()
        for command in self._commands:
            command.kill_all()
