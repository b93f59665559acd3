"""Handlers that end their process, and handlers that misbehave in other ways."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.faults.catalogue.ledger import ACKNOWLEDGED, BEGUN, DOOMED, POISON
from tests.faults.catalogue.registry import scenario
from tests.faults.catalogue.trial import Trial

from oxcart import FlowNode, JobOptions, ParentPolicy, Schedule
from oxcart.sync import FlowProducer

GROUP = "Poison jobs"
DEATHS = 2
"""How often a job may end its process, alone in it, before it fails."""


def wait_for_failure(trial: Trial, job_ids: list[str], *, within: float = 180) -> float:
    return trial.wait_until(
        lambda: all(trial.state_of(job_id) == "failed" for job_id in job_ids),
        within=within,
        what=f"{len(job_ids)} poison jobs to fail; now: {{states}}",
    )


def check_reason(trial: Trial, job_id: str) -> None:
    """Expect a reason that says that the job ended its process."""
    reason = trial.field(job_id, "failedReason")
    trial.figures["reason"] = reason
    words = ("process", "worker", "alone")
    trial.expect(
        any(word in reason.lower() for word in words),
        f"the reason of the failure does not name the death of the process: {reason!r}",
    )


@scenario(
    "poison_exit",
    group=GROUP,
    fault="a handler calls os._exit(1); 3 neighbours, 8 jobs behind it",
    promise="fails after 2 deaths alone; every other job completes",
    short={"behind": 4},
)
@scenario(
    "poison_exit_0",
    group=GROUP,
    fault="a handler calls os._exit(0)",
    promise="fails after 2 deaths alone; every other job completes",
    options={"how": "exit_0"},
)
@scenario(
    "poison_segfault",
    group=GROUP,
    fault="a handler reads from address 0",
    promise="fails after 2 deaths alone; every other job completes",
    options={"how": "segfault"},
)
@scenario(
    "poison_memory",
    group=GROUP,
    fault="a handler takes memory until its control group's limit of 400 MiB",
    promise="fails after 2 deaths alone; every other job completes",
    options={"how": "memory", "memory_mb": 400},
    needs="root",
)
@scenario(
    "poison_own",
    group=GROUP,
    fault="a handler calls os._exit(1) in a program with App.worker that is started again",
    promise="fails after 2 deaths alone; every other job completes",
    options={"own": True, "limit": 180},
)
def poison_alone(
    trial: Trial,
    *,
    how: str = "exit",
    behind: int = 8,
    memory_mb: int = 0,
    own: bool = False,
    limit: float = 60,
) -> None:
    neighbours = trial.add("work", count=3, ms=4_000)
    [poison] = trial.add("poison", kind=POISON, how=how, ms=1_000)
    trial.add("work", count=behind, ms=200)
    if own:
        program = trial.own(concurrency=4)
        started = time.monotonic()
        while trial.state_of(poison) != "failed" and time.monotonic() < started + limit:
            if not program.is_alive:
                program = trial.own(concurrency=4, wait=False)
            time.sleep(0.2)
    else:
        command = trial.worker(concurrency=4, before=_limited(memory_mb))
        started = time.monotonic()
    wait_for_failure(trial, [poison], within=limit)
    trial.figures["failed_after_s"] = round(time.monotonic() - started, 1)
    trial.settle(within=180)
    runs = trial.starts([poison])
    trial.figures["poison_runs"] = runs
    # Once beside its neighbours, in a program of one's own perhaps twice, then alone.
    trial.expect(runs <= DEATHS + 1 + own, f"the poison job ran {runs} times")
    check_reason(trial, poison)
    trial.figures["neighbours_runs"] = trial.starts(neighbours)
    if not own:
        trial.expect(command.process.poll() is None, "the supervisor ended")


def _limited(memory_mb: int) -> list[str]:
    """A command that runs another one in a control group with a memory limit."""
    if not memory_mb:
        return []
    folder = Path("/sys/fs/cgroup")
    v1 = folder / "memory"
    base = (v1 if v1.is_dir() else folder) / f"oxcart-{os.getpid()}-{time.monotonic_ns()}"
    name = "memory.limit_in_bytes" if v1.is_dir() else "memory.max"
    script = (
        f"mkdir -p {base} && echo {memory_mb << 20} > {base}/{name} && "
        f'echo $$ > {base}/cgroup.procs && exec "$@"'
    )
    return ["sh", "-ec", script, "sh"]


@scenario(
    "poison_once_in_ten",
    group=GROUP,
    fault="a segfault beside nine jobs of 20 s, concurrency 10",
    promise="the poison fails after 2 deaths alone; nine of nine complete",
    short={"ms": 2_000},
)
def poison_once_in_ten(trial: Trial, *, ms: float = 20_000) -> None:
    trial.add("work", count=9, ms=ms)
    [poison] = trial.add("poison", kind=POISON, how="segfault", ms=500)
    trial.worker(concurrency=10)
    trial.at_most("failed_after_s", wait_for_failure(trial, [poison]), 9 * ms / 1_000 + 30)
    trial.settle(within=9 * ms / 1_000 + 60)
    check_reason(trial, poison)


@scenario(
    "poison_many",
    group=GROUP,
    fault="10 poison jobs among 300 good ones of 0.2 s, concurrency 10",
    promise="good ones done within twice their time plus 10 s; poison fails after 2 deaths alone",
    is_exclusive=True,
)
def poison_many(trial: Trial, *, good: int = 300, poison: int = 10, ms: float = 200) -> None:
    command = trial.worker(concurrency=10)
    started = time.monotonic()
    trial.add("work", count=good, ms=ms)
    clean = trial.wait_until(
        lambda: trial.count("completed") >= good, within=120, what="the jobs without poison"
    )
    trial.figures["without_poison_s"] = round(time.monotonic() - started, 1)
    poisoned: list[str] = []
    good_ids: list[str] = []
    started = time.monotonic()
    for _ in range(poison):
        poisoned += trial.add("poison", kind=POISON, how="exit", ms=ms)
        good_ids += trial.add("work", count=good // poison, ms=ms)
    trial.wait_until(
        lambda: trial.count("completed") >= good + len(good_ids),
        within=300,
        what="the good jobs; now: {states}",
    )
    trial.at_most("with_poison_s", time.monotonic() - started, 2 * clean + 10)
    wait_for_failure(trial, poisoned, within=240)
    trial.figures["settled_s"] = round(time.monotonic() - started, 1)
    trial.figures["deaths"] = command.output().count("supervisor.worker_died")
    check_reason(trial, poisoned[0])
    trial.settle()


@scenario(
    "poison_scheduled",
    group=GROUP,
    fault="a scheduler's job ends its process; 1 other job a second",
    promise="fails after 2 deaths alone; schedule and other jobs go on",
    short={"seconds": 14},
)
def poison_scheduled(trial: Trial, *, seconds: float = 60) -> None:
    command = trial.worker(concurrency=4)
    trial.queue.upsert_scheduler("hourly", Schedule.every("1h"), "tick", {"how": "exit", "ms": 300})
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        trial.add("work", count=2, ms=1_000)
        time.sleep(2)
    trial.settle(within=60)
    runs = sum(line.reference.startswith("s") for line in trial.lines(BEGUN))
    trial.figures["poison_runs"] = runs
    trial.expect(runs <= DEATHS + 1, f"the scheduler's job ran {runs} times")
    trial.figures["deaths"] = command.output().count("supervisor.worker_died")
    trial.expect(trial.count("failed") == 1, f"{trial.count('failed')} jobs failed instead of 1")
    trial.expect(trial.count("delayed") == 1, "the schedule has no next job")


@scenario(
    "poison_flow",
    group=GROUP,
    fault="a child of a flow ends its process, with each policy for its parent",
    promise="fail: the parent fails; ignore and remove: the parent completes",
)
def poison_flow(trial: Trial) -> None:
    trial.worker(concurrency=4)
    ends: dict[str, str] = {}
    with FlowProducer(redis_url=trial.server.url, prefix=trial.prefix) as flows:
        policies: tuple[ParentPolicy, ...] = ("fail", "ignore", "remove")
        for policy in policies:
            names = (f"x.{policy}" if policy == "fail" else f"g.{policy}", f"p.{policy}")
            parent = FlowNode(
                "work", queue="q", data={"ref": names[0]}, options=JobOptions(job_id=names[0])
            )
            child = FlowNode(
                "poison",
                queue="q",
                data={"ref": names[1]},
                options=JobOptions(job_id=names[1], parent_on_failure=policy),
            )
            flows.add(parent.with_children([child]))
            for name in names:
                trial.book.write(ACKNOWLEDGED, name, f"q:{name}")
            ends[names[0]] = "failed" if policy == "fail" else "completed"
    trial.settle(within=180)
    states = {name: trial.state_of(name) for name in ends}
    trial.expect(states == ends, f"the parents ended as {states}")


@scenario(
    "poison_deduplicated",
    group=GROUP,
    fault="a job that holds a deduplication id ends its process until it fails",
    promise="the id is free afterwards",
)
def poison_deduplicated(trial: Trial) -> None:
    trial.worker(concurrency=4)
    options = {"deduplication": "only-one"}
    poisoned = trial.add("poison", kind=POISON, options=options)
    wait_for_failure(trial, poisoned)
    [second] = trial.add("work", options=options)
    trial.expect(second not in poisoned, "the deduplication id is still held")
    trial.settle()


@scenario(
    "memory_limit",
    group=GROUP,
    fault="a handler takes memory until RLIMIT_AS refuses it",
    promise="its job fails with MemoryError; no process ends",
)
def memory_limit(trial: Trial) -> None:
    limited = ["sh", "-ec", 'ulimit -v 2500000; exec "$@"', "sh"]
    command = trial.worker(concurrency=4, before=limited)
    [job_id] = trial.add("poison", kind=POISON, how="memory", ms=100)
    trial.add("work", count=5, ms=500)
    wait_for_failure(trial, [job_id], within=90)
    trial.settle()
    trial.figures["reason"] = trial.field(job_id, "failedReason")
    trial.expect("supervisor.worker_died" not in command.output(), "a process ended")


NASTY: dict[str, tuple[str, str, str]] = {
    "raise_exit": ("raises SystemExit", DOOMED, ""),
    "raise_interrupt": ("raises KeyboardInterrupt", DOOMED, ""),
    "raise_generator_exit": ("raises GeneratorExit", DOOMED, ""),
    "recurse": ("recurses until the interpreter refuses", DOOMED, ""),
    "return_no_json": ("returns what JSON cannot hold", DOOMED, ""),
    "leave_tasks": ("leaves 200 tasks behind", "g", ""),
    "stop_loop": ("stops the event loop", DOOMED, "dies"),
    "cancel_all": ("cancels every task of the loop", DOOMED, "dies"),
    "close_descriptors": ("closes every file descriptor", DOOMED, "dies"),
    "kill_parent": ("kills the supervisor", "g", "ends"),
    "use_descriptors": ("uses up every file descriptor", DOOMED, ""),
    "patch_time": ("patches time.time for a moment", "g", ""),
    "fork": ("forks a child that ends", "g", ""),
}


def _nasty(name: str) -> None:
    text, kind, effect = NASTY[name]
    promise = "3 neighbours complete; the job "
    promise += "completes" if kind == "g" else "fails"

    @scenario(
        f"nasty_{name}",
        group="Handlers that misbehave",
        fault=f"a handler {text}",
        promise=promise,
        short={} if name in ("raise_exit", "return_no_json") else None,
    )
    def body(trial: Trial) -> None:
        command = trial.worker(concurrency=4)
        trial.add("work", count=3, ms=1_500)
        [job_id] = trial.add("nasty", kind=kind, how=name)
        if effect == "ends":
            trial.wait_until(lambda: command.process.poll() is not None, what="the command to end")
            trial.settle()
            return
        seconds = trial.settle(within=180)
        trial.figures["settled_s"] = round(seconds, 1)
        trial.figures["reason"] = trial.field(job_id, "failedReason")[:80]
        if not effect:
            trial.expect("supervisor.worker_died" not in command.output(), "a process ended")


for each in NASTY:
    _nasty(each)


@scenario(
    "nasty_threads",
    group="Handlers that misbehave",
    fault="a handler leaves 20 threads (not daemons) that sleep for ten minutes, then SIGTERM",
    promise="the command ends with code 0 within 15 s",
    short={},
)
def nasty_threads(trial: Trial, *, limit: float = 15) -> None:
    command = trial.worker(concurrency=4, OXCART_GRACE_SECONDS="30")
    trial.add("leave_threads", threads=20, seconds=600)
    trial.settle()
    started = time.monotonic()
    command.process.terminate()
    code = command.wait(within=90)
    trial.at_most("stopped_after_s", time.monotonic() - started, limit)
    trial.expect(code == 0, f"the exit code is {code}")


@scenario(
    "hanging_threads",
    group="Handlers that misbehave",
    fault="40 plain functions never return, among 40 good jobs",
    promise="good ones done within 90 s; the stop takes 15 s at most",
)
def hanging_threads(trial: Trial, *, count: int = 40, limit: float = 90) -> None:
    command = trial.worker(concurrency=4, OXCART_GRACE_SECONDS="3")
    for _ in range(count):
        trial.add("hang_thread", kind=DOOMED)
        trial.add("work", ms=100)
    trial.at_most("settled_s", trial.settle(within=240), limit)
    started = time.monotonic()
    command.process.terminate()
    command.wait(within=90)
    trial.at_most("stopped_after_s", time.monotonic() - started, 15)
