"""Runs workloads: interleaves the systems, repeats, and gives one object a measurement."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import postgresql
from benchmarks.environments import Environment, EnvironmentMissing, prepare
from benchmarks.meter import DEFAULT_SLOTS, Meter
from benchmarks.postgresql import PostgresServer
from benchmarks.processes import AdapterFailed, AdapterProcess
from benchmarks.protocol import Order
from benchmarks.servers import RedisServer, Server, ServerChoice
from benchmarks.systems import System, find_systems
from benchmarks.workload import Case, Workload

READY_S = 60.0
POLL_S = 0.001
SPIN = 200_000


@dataclass
class Bench:
    """What a workload measures a system with.

    Attributes:
        system: the system.
        environment: what runs its adapter.
        server: an empty server.
        folder: for files of this measurement.
        limit_s: how long an adapter may be silent.
        is_smoke: whether it is only tried out: waits may be short.
    """

    system: System
    environment: Environment
    server: Server
    folder: Path
    limit_s: float
    is_smoke: bool = False

    @property
    def redis(self) -> RedisServer:
        """The server, where a workload is for Redis alone."""
        if not isinstance(self.server, RedisServer):
            raise TypeError(f"{self.system.name} does not run on Redis")
        return self.server

    def order(self, case: Case, **changes: Any) -> Order:
        """What an adapter is told in a case, with an empty meter."""
        path = self.folder / "meter"
        Meter.create(path, slots=DEFAULT_SLOTS + case.jobs)
        order = Order(
            url=self.server.url,
            jobs=case.jobs,
            concurrency=case.concurrency,
            meter=str(path),
            options=dict(case.options),
        )
        return replace(order, **changes)

    def enqueue(self, order: Order) -> dict[str, Any]:
        """Let the system add the jobs; gives what its adapter says."""
        with self.adapter("enqueue", order) as adapter:
            answer = adapter.answer(self.limit_s)
            adapter.wait()
        return answer

    @contextmanager
    def worker(self, order: Order) -> Iterator[AdapterProcess]:
        """A worker that consumes."""
        with self.adapter("work", order) as adapter:
            adapter.answer(READY_S)
            yield adapter

    def finish(self, adapter: AdapterProcess) -> dict[str, Any]:
        """Wait for a worker's end; gives what it says."""
        answer = adapter.answer(self.limit_s)
        adapter.wait()
        return answer

    def adapter(self, role: str, order: Order) -> AdapterProcess:
        """The system's adapter in a role."""
        log = self.folder / f"{role}.log"
        return AdapterProcess(self.system, self.environment, role, order, log)

    def drain(self, order: Order, *, processes: int = 1) -> dict[str, Any]:
        """Add the jobs, then let workers run them: the figures of most workloads."""
        added = self.enqueue(order)
        return {**adding_figures(added), **self.run_workers(order, processes=processes)}

    def run_workers(self, order: Order, *, processes: int = 1) -> dict[str, Any]:
        """Let workers run jobs that are there."""
        cpu = self.server.cpu_seconds()
        with ExitStack() as stack:
            workers = []
            for number in range(processes):
                own = replace(order, options={**order.options, "slot": number})
                workers.append(stack.enter_context(self.adapter("work", own)))
            for worker in workers:
                worker.answer(READY_S)
            from_all = self._when_all_have_begun(order, processes)
            answers = [worker.answer(self.limit_s) for worker in workers]
            cpu = self.server.cpu_seconds() - cpu
            for worker in workers:
                worker.wait()
        figures = working_figures(Meter(order.meter), answers, server_cpu=cpu)
        return figures | _rate_from(from_all, Meter(order.meter))

    def _when_all_have_begun(self, order: Order, processes: int) -> tuple[float, int]:
        """When the last of several processes began, and how many jobs had run by then.

        Processes do not start at the same moment: their common rate counts from the last one's.
        """
        meter = Meter(order.meter)
        while processes > 1 and meter.begun() < processes and meter.total() < order.jobs:
            time.sleep(POLL_S)
        return time.time(), meter.total() if processes > 1 else 0


@dataclass(frozen=True)
class Plan:
    """What is measured how often.

    Attributes:
        systems: which systems.
        choice: which server.
        repeat: how often each; ``None`` leaves it to the workload.
        jobs: how many jobs instead of a case's own number.
        concurrency: only the cases of this concurrency, or the first one with it.
        limit_s: how long an adapter may be silent.
        is_smoke: one repetition of tiny cases.
    """

    systems: Sequence[System]
    choice: ServerChoice
    repeat: int | None = None
    jobs: int | None = None
    concurrency: int | None = None
    limit_s: float = 300.0
    is_smoke: bool = False

    def cases(self, workload: Workload) -> list[Case]:
        """The cases of a workload that are run."""
        cases = list(workload.cases)
        if self.is_smoke:
            cases = [cases[number] for number in workload.smoke_cases]
        if self.concurrency is not None:
            matching = [case for case in cases if case.concurrency == self.concurrency]
            cases = matching or [replace(cases[0], concurrency=self.concurrency)]
        jobs = workload.smoke_jobs if self.is_smoke else self.jobs
        return [replace(case, jobs=jobs) if jobs else case for case in cases]

    def repetitions(self, workload: Workload) -> int:
        """How often each case is measured."""
        return 1 if self.is_smoke else self.repeat or workload.repeat


def run(workload: Workload, plan: Plan) -> Iterator[dict[str, Any]]:
    """Measure a workload: repetition by repetition, in each every system in turn.

    Yields:
        One object a system, case and repetition; with ``error`` where it could not be measured.
    """
    systems = [system for system in plan.systems if _takes_part(system, workload)]
    for repetition in range(plan.repetitions(workload)):
        for case in plan.cases(workload):
            for system in _turned(systems, repetition):
                yield _measure(workload, plan, system, case, repetition + 1)


def adding_figures(added: dict[str, Any]) -> dict[str, Any]:
    """What an adapter's answer to ``enqueue`` tells."""
    jobs = added["jobs"]
    return {
        "enqueue_per_s": round(jobs / added["seconds"], 1),
        "enqueue_cpu_us": round(added["cpu_seconds"] / jobs * 1e6, 2),
    }


def working_figures(
    meter: Meter, answers: list[dict[str, Any]], *, server_cpu: float
) -> dict[str, Any]:
    """What the adapters' answers to ``work`` tell, with the meter that they share."""
    jobs = sum(answer["jobs"] for answer in answers) if not meter.total() else meter.total()
    first = meter.first() or min(answer["first"] for answer in answers)
    last = meter.last() or max(answer["last"] for answer in answers)
    cpu = sum(answer["cpu_seconds"] for answer in answers)
    # Where more jobs wait than are asked for, some run after the times were taken.
    timed = answers[0]["jobs"] if len(answers) == 1 else jobs
    return {
        "runs": jobs,
        "process_per_s": round(jobs / max(last - first, 1e-6), 1),
        "worker_cpu_us": round(cpu / timed * 1e6, 2),
        "server_cpu_us": round(server_cpu / timed * 1e6, 2),
        "rss_before": sum(answer["rss_before"] for answer in answers),
        "rss_after": sum(answer["rss_after"] for answer in answers),
    }


def _rate_from(start: tuple[float, int], meter: Meter) -> dict[str, Any]:
    since, before = start
    if not before or meter.total() - before < before:
        return {}
    return {"process_per_s": round((meter.total() - before) / (meter.last() - since), 1)}


def machine_speed_ms() -> float:
    """CPU time of a fixed loop: tells a slow minute of the machine from a slow system."""
    start = time.process_time()
    total = 0
    for number in range(SPIN):
        total += number
    return round((time.process_time() - start) * 1000, 2)


def partner(name: str) -> tuple[System, Environment]:
    """Another system, for workloads in which two take part."""
    system = find_systems(name)[0]
    return system, prepare(system)


def _server(
    system: System, workload: Workload, plan: Plan
) -> AbstractContextManager[RedisServer | PostgresServer]:
    if system.server == "postgresql":
        return postgresql.started()
    return plan.choice.started(is_durable=workload.is_durable)


def _takes_part(system: System, workload: Workload) -> bool:
    if workload.only:
        return system.name in workload.only
    if workload.is_for_redis and system.server != "redis":
        return False
    return not set(system.lacks) & set(workload.needs)


def _turned(systems: list[System], turns: int) -> list[System]:
    """Nobody is always the first after a pause."""
    turns %= max(1, len(systems))
    return systems[turns:] + systems[:turns]


def _measure(
    workload: Workload, plan: Plan, system: System, case: Case, repetition: int
) -> dict[str, Any]:
    case = _bounded(case, system)
    row: dict[str, Any] = {
        "system": system.name,
        "workload": workload.name,
        "case": case.name,
        "concurrency": case.concurrency,
        "jobs": case.jobs,
        "repetition": repetition,
    }
    try:
        environment = prepare(system)
        with (
            _server(system, workload, plan) as server,
            tempfile.TemporaryDirectory(prefix="oxcart-bench-") as folder,
        ):
            bench = Bench(
                system, environment, server, Path(folder), plan.limit_s, is_smoke=plan.is_smoke
            )
            row |= workload.measure(bench, case)
            row["versions"] = {**environment.versions, "server": server.version()}
    except (AdapterFailed, EnvironmentMissing, postgresql.PostgresMissing) as error:
        row["error"] = str(error)
    row["machine_speed_ms"] = machine_speed_ms()
    return row


def _bounded(case: Case, system: System) -> Case:
    if system.most_jobs is None or case.jobs <= system.most_jobs:
        return case
    return replace(case, jobs=system.most_jobs)
