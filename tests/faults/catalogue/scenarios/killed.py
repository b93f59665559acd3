"""Processes that are killed: a child, the supervisor, a tree, a program of one's own."""

from __future__ import annotations

import signal
import statistics
import time
from functools import partial
from itertools import pairwise

from tests.faults.catalogue.ledger import BEGUN
from tests.faults.catalogue.parts import Process, send
from tests.faults.catalogue.registry import scenario
from tests.faults.catalogue.trial import Trial
from tests.faults.commands import WorkerCommand
from tests.support import ValkeyServer

from oxcart import Schedule

GROUP = "Processes killed"
HELD = 5
"""Jobs that run at the moment of the kill."""


def start_long(trial: Trial, *, count: int = HELD, ms: float = 3_000) -> list[str]:
    """Add jobs and wait until all of them run."""
    job_ids = trial.add("work", count=count, ms=ms)
    trial.wait_until(lambda: trial.starts(job_ids) >= count, within=90, what=f"{count} jobs to run")
    return job_ids


def back_after(trial: Trial, job_ids: list[str], *, within: float = 120) -> float:
    """Seconds until each of the jobs was given back by its dead worker.

    They may then run one at a time, alone in a process.
    """
    key = f"{trial.prefix}:q:events"

    def are_back() -> bool:
        entries = trial.client.xrange(key)
        stalled = {
            fields[b"jobId"].decode() for _, fields in entries if fields[b"event"] == b"stalled"
        }
        return stalled.issuperset(job_ids)

    return trial.wait_until(are_back, within=within, step=0.05, what="the jobs to be back")


@scenario(
    "kill_child",
    group=GROUP,
    fault="kill -9 of the child, 8 times, 5 jobs running",
    promise="the jobs are back within 5 s",
    short={"rounds": 1},
)
def kill_child(trial: Trial, *, rounds: int = 8, limit: float = 5) -> None:
    times: list[float] = []
    for _ in range(rounds):
        command = trial.worker()  # a new one, without a restart delay from the last round
        job_ids = start_long(trial)
        send(command.children()[0], signal.SIGKILL)
        times.append(back_after(trial, job_ids))
        trial.settle()
        command.process.terminate()
        command.wait()
    trial.figures["median_s"] = round(statistics.median(times), 2)
    trial.at_most("longest_s", max(times), limit)


@scenario(
    "kill_child_often",
    group=GROUP,
    fault="kill -9 of the child as soon as it runs 5 new jobs together, 8 times",
    promise="no job fails; new jobs run within 10 s of each kill",
)
def kill_child_often(trial: Trial, *, rounds: int = 8, limit: float = 10) -> None:
    command = trial.worker()
    times: list[float] = []
    for number in range(rounds):
        job_ids = trial.add("work", count=HELD, ms=2_000)
        taken = trial.wait_until(
            partial(_runs_together, trial, job_ids),
            within=120,
            step=0.05,
            what=f"new jobs to run together after {number} kills",
        )
        times.append(taken)
        send(_pids_of(trial, job_ids)[0], signal.SIGKILL)
    trial.figures["times_s"] = [round(each, 1) for each in times]
    trial.at_most("longest_s", max(times), limit)
    trial.settle(within=300)
    trial.expect(command.process.poll() is None, "the supervisor ended")


def _pids_of(trial: Trial, job_ids: list[str]) -> list[int]:
    return [line.pid for line in trial.lines(BEGUN) if line.job_id in job_ids]


def _runs_together(trial: Trial, job_ids: list[str]) -> bool:
    """Whether several of the jobs run in one process: not one that runs suspects alone."""
    pids = _pids_of(trial, job_ids)
    return len(pids) >= len(job_ids) and len(set(pids)) == 1


@scenario(
    "kill_burst",
    group=GROUP,
    fault="kill -9 of a child every 2 s for 45 s under 600 jobs a second",
    promise="no job lost; drained within 30 s of the end",
    short={"seconds": 6, "rate": 300},
)
def kill_burst(
    trial: Trial, *, rate: float = 600, seconds: float = 45, every: float = 2, limit: float = 30
) -> None:
    command = trial.worker("--processes", "2")
    producer = trial.producer(rate=rate, count=int(rate * seconds), batch=10)
    until = time.monotonic() + seconds
    kills = 0
    while time.monotonic() < until:
        time.sleep(every)
        for child in command.children()[:1]:
            send(child, signal.SIGKILL)
            kills += 1
    producer.wait(within=seconds * 5 + 60)
    trial.figures["kills"] = kills
    trial.at_most("drained_s", trial.settle(within=180), limit)


@scenario(
    "kill_schedules",
    group=GROUP,
    fault="a child or a tree of 2 workers is killed each 4 s for 90 s; schedulers of 1, 2 and 3 s",
    promise="1 % of the slots missed at most, no gap of 3 intervals",
)
def kill_schedules(trial: Trial, *, seconds: float = 90, every: float = 4) -> None:
    commands = [trial.worker("--processes", "2") for _ in range(2)]
    intervals = (1, 2, 3)
    for interval in intervals:
        schedule = Schedule.every(f"{interval}s")
        trial.queue.upsert_scheduler(f"each-{interval}", schedule, "tick")
    trial.wait_for_starts(3)
    began = time.time()
    kills = 0
    while time.time() < began + seconds:
        time.sleep(every)
        number = kills % 2
        if kills % 4 == 3:
            trial.killed(commands[number])
            commands[number] = trial.worker("--processes", "2", wait=False)
        else:
            for child in commands[number].children()[:1]:
                send(child, signal.SIGKILL)
        kills += 1
    ended = time.time()
    for interval in intervals:
        trial.queue.remove_scheduler(f"each-{interval}")
    trial.settle()
    missed, expected, longest = 0, 0, 0.0
    for interval in intervals:
        slots = sorted(
            {
                int(line.job_id.rpartition(":")[2]) / 1_000
                for line in trial.lines(BEGUN)
                if line.job_id.startswith(f"repeat:each-{interval}:")
            }
        )
        slots = [slot for slot in slots if began <= slot <= ended]
        wanted = int((ended - began) / interval)
        expected += wanted
        missed += max(0, wanted - len(slots))
        longest = max([longest, *((after - at) / interval for at, after in pairwise(slots))])
    trial.figures["kills"] = kills
    trial.figures["slots"] = expected
    trial.figures["missed"] = missed
    trial.figures["longest_gap_intervals"] = round(longest, 1)
    trial.expect(missed <= max(1, expected / 100), f"{missed} of {expected} slots were missed")
    trial.expect(longest < 3, f"a gap of {longest:.1f} intervals")


@scenario(
    "kill_supervisor",
    group=GROUP,
    fault="kill -9 of the supervisor alone, started again after 1 s",
    promise="running jobs end once; the next job runs within 5 s",
    short={"ms": 2_000},
)
def kill_supervisor(trial: Trial, *, ms: float = 5_000, limit: float = 5) -> None:
    command = trial.worker()
    job_ids = start_long(trial, ms=ms)
    command.process.kill()
    command.process.wait()
    time.sleep(1)
    trial.worker(wait=False)
    trial.at_most("next_job_s", trial.next_job(), limit)
    trial.settle()
    trial.expect(trial.starts(job_ids) == HELD, "a job that could finish was run again")


@scenario(
    "kill_tree",
    group=GROUP,
    fault="kill -9 of supervisor and child, 3 times, started again after 1 s",
    promise="the jobs are back within 5 s of the restart",
    short={"rounds": 1},
)
def kill_tree(trial: Trial, *, rounds: int = 3, limit: float = 5) -> None:
    times = []
    for _ in range(rounds):
        command = trial.worker()
        job_ids = start_long(trial)
        trial.killed(command)
        time.sleep(1)
        again = trial.worker(wait=False)
        times.append(back_after(trial, job_ids))
        trial.settle()
        again.process.terminate()
        again.wait()
    trial.at_most("longest_s", max(times), limit)


@scenario(
    "kill_tree_other_worker",
    group=GROUP,
    fault="kill -9 of supervisor and child while another worker of the host runs",
    promise="the jobs are back within 5 s",
)
@scenario(
    "kill_own",
    group=GROUP,
    fault="kill -9 of a program with App.worker while another one runs, 3 times",
    promise="the jobs are back within 5 s",
    options={"own": True, "rounds": 3},
    short={"rounds": 1},
)
def kill_beside_another(
    trial: Trial, *, rounds: int = 1, own: bool = False, limit: float = 5
) -> None:
    def start() -> Process | WorkerCommand:
        return trial.own(concurrency=HELD) if own else trial.worker(concurrency=HELD)

    doomed = start()
    times = []
    for _ in range(rounds):
        job_ids = start_long(trial, ms=10_000)  # longer than the other one's start
        other = start()
        trial.killed(doomed)
        times.append(back_after(trial, job_ids))
        trial.settle()
        doomed = other
    trial.at_most("longest_s", max(times), limit)


@scenario(
    "kill_own_restarted",
    group=GROUP,
    fault="kill -9 of the only program with App.worker, started again after 1 s",
    promise="the jobs are back within 5 s of the restart",
)
def kill_own_restarted(trial: Trial, *, limit: float = 5) -> None:
    doomed = trial.own()
    job_ids = start_long(trial)
    doomed.kill()
    time.sleep(1)
    trial.own(wait=False)
    trial.at_most("back_s", back_after(trial, job_ids), limit)
    trial.settle()


@scenario(
    "kill_while_redis_away",
    group=GROUP,
    fault="the server is killed for 10 s, and the child meanwhile",
    promise="they are back within 10 s of its return",
    options={"server": lambda: ValkeyServer(is_durable=True)},
    short={"away": 2, "ms": 4_000},
)
@scenario(
    "kill_while_redis_away_long",
    group=GROUP,
    fault="the same for 45 s: every lock has run out",
    promise="they are back within 65 s",
    options={"server": lambda: ValkeyServer(is_durable=True), "away": 45, "limit": 65},
)
def kill_while_redis_away(
    trial: Trial, *, away: float = 10, ms: float = 15_000, limit: float = 10
) -> None:
    command = trial.worker()
    job_ids = start_long(trial, ms=ms)
    trial.server.kill()
    for child in command.children():
        send(child, signal.SIGKILL)
    time.sleep(away)
    trial.server.start()
    trial.at_most("back_s", back_after(trial, job_ids), limit)
    trial.settle()


@scenario(
    "stop_supervisor",
    group=GROUP,
    fault="SIGSTOP of the supervisor for 20 s, the child killed meanwhile",
    promise="the jobs are back within 5 s of SIGCONT",
    short={"seconds": 2, "ms": 6_000},
)
def stop_supervisor(
    trial: Trial, *, seconds: float = 20, ms: float = 30_000, limit: float = 5
) -> None:
    command = trial.worker()
    job_ids = start_long(trial, ms=ms)
    with trial.stopped(command.process.pid):
        for child in command.children():
            send(child, signal.SIGKILL)
        time.sleep(seconds)
    trial.at_most("back_s", back_after(trial, job_ids), limit)
    trial.settle()
