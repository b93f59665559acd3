"""Rolling restarts, signals, two generations of an application on one queue."""

from __future__ import annotations

import signal
import time

from tests.faults.catalogue.parts import Process
from tests.faults.catalogue.registry import scenario
from tests.faults.catalogue.trial import Trial
from tests.faults.commands import WorkerCommand

GROUP = "Deploys"


@scenario(
    "rolling_restart",
    group=GROUP,
    fault="15 rolling restarts, one each 3 s, 52 jobs a second",
    promise="exit code 0 each time, no job starts twice, none stalls",
    short={"rounds": 2, "ms": 2_000},
)
@scenario(
    "rolling_restart_short_grace",
    group=GROUP,
    fault="the same with a grace of 2 s",
    promise="exit code 0 each time, jobs that are put back use no attempt",
    options={"grace": "2"},
)
def rolling_restart(
    trial: Trial, *, rounds: int = 15, ms: float = 10_000, grace: str = "30"
) -> None:
    def start() -> WorkerCommand:
        return trial.worker(concurrency=20, OXCART_GRACE_SECONDS=grace)

    running = start()
    ending: list[WorkerCommand] = []
    producer = trial.producer(rate=50)
    for _ in range(rounds):
        trial.add("work", count=2, ms=ms)
        started = time.monotonic()
        new = start()
        running.process.send_signal(signal.SIGTERM)
        ending.append(running)
        running = new
        time.sleep(max(0.0, started + 3 - time.monotonic()))
    producer.signal(signal.SIGTERM)
    producer.wait()
    codes = {trial.ended(one.process, within=60) for one in ending}
    trial.expect(codes == {0}, f"exit codes {sorted(codes)}")
    trial.settle(within=180)
    trial.check()
    if grace == "30":
        trial.expect(not trial.figures["started_twice"], "a job started twice")
    stalled = sum("stalled.recovered" in log for log in trial.logs())
    trial.expect(not stalled, "a job stalled")


def _signals(name: str, *, own: bool, sent: tuple[int, ...], limit: float) -> None:
    words = " and ".join(signal.Signals(number).name for number in sent)
    program = "a program with App.worker" if own else "oxcart worker"

    @scenario(
        f"signal_{name}",
        group=GROUP,
        fault=f"{words} to {program}, grace 3 s",
        promise=f"exit code 0 within {limit:g} s; jobs are back, no attempt used",
        short={} if name in ("term", "own_twice") else None,
    )
    def body(trial: Trial) -> None:
        started: Process | WorkerCommand = (
            trial.own(grace="3s") if own else trial.worker(OXCART_GRACE_SECONDS="3")
        )
        job_ids = trial.add("work", count=5, ms=60_000)
        trial.wait_for_starts(5)
        began = time.monotonic()
        for number in sent:
            started.process.send_signal(number)
            time.sleep(0.5)
        code = trial.ended(started.process, within=60)
        trial.at_most("ended_after_s", time.monotonic() - began, limit)
        trial.expect(code == 0, f"the exit code is {code}")
        trial.expect(trial.count("wait") == 5, f"{trial.count('wait')} of 5 jobs wait")
        used = [job_id for job_id in job_ids if trial.field(job_id, "atm") not in ("", "0")]
        stalled = [job_id for job_id in job_ids if trial.field(job_id, "stc") not in ("", "0")]
        trial.expect(not used + stalled, "an attempt or a stall was counted")
        trial.allowed.unsettled = "they were put back"


_signals("term", own=False, sent=(signal.SIGTERM,), limit=8)
_signals("twice", own=False, sent=(signal.SIGTERM, signal.SIGTERM), limit=4)
_signals("int", own=False, sent=(signal.SIGINT,), limit=8)
_signals("own_term", own=True, sent=(signal.SIGTERM,), limit=8)
_signals("own_twice", own=True, sent=(signal.SIGTERM, signal.SIGTERM), limit=4)
_signals("own_int", own=True, sent=(signal.SIGINT,), limit=8)


@scenario(
    "ignores_cancellation",
    group=GROUP,
    fault="SIGTERM, grace 3 s; a handler ignores its cancellation",
    promise="ends within 15 s; the job is back, no stall counted",
)
def ignores_cancellation(trial: Trial, *, limit: float = 15) -> None:
    command = trial.worker(OXCART_GRACE_SECONDS="3")
    [job_id] = trial.add("ignore_cancel", seconds=40)
    trial.wait_for_starts(1)
    began = time.monotonic()
    command.process.terminate()
    trial.figures["exit_code"] = trial.ended(command.process, within=90)
    trial.at_most("ended_after_s", time.monotonic() - began, limit)
    trial.expect(trial.count("wait") == 1, "the job does not wait")
    trial.expect(trial.field(job_id, "stc") in ("", "0"), "a stall was counted")
    trial.allowed.unsettled = "it was put back"


@scenario(
    "rolling_deploy_two_generations",
    group=GROUP,
    fault="two generations of an application, each with a job of its own",
    promise="every job completes, in both orders of deploying",
    short={"seconds": 6},
)
def two_generations(trial: Trial, *, seconds: float = 20) -> None:
    recipes = [{"name": "work"}, {"name": "only_old"}, {"name": "only_new"}]
    old = trial.worker(TEST_GENERATION="old")
    producer = trial.producer(rate=40, recipes=recipes)
    time.sleep(seconds / 2)
    new = trial.worker(TEST_GENERATION="new")
    time.sleep(seconds / 2)
    producer.signal(signal.SIGTERM)
    producer.wait()
    trial.figures["settled_s"] = round(trial.settle(within=120), 1)
    new.process.terminate()
    trial.ended(new.process, within=60)
    producer = trial.producer(rate=40, recipes=recipes)
    time.sleep(seconds / 2)
    trial.worker(TEST_GENERATION="new")
    time.sleep(seconds / 2)
    producer.signal(signal.SIGTERM)
    producer.wait()
    trial.settle(within=120)
    old.process.terminate()
    trial.ended(old.process, within=60)
    trial.settle()


@scenario(
    "import_fails_later",
    group=GROUP,
    fault="a process is killed; its successors cannot be imported for 6 s",
    promise="the other one goes on; the place is filled within 40 s",
)
def import_fails_later(trial: Trial, *, seconds: float = 6, limit: float = 40) -> None:
    gate = trial.folder / "gate"
    gate.touch()
    command = trial.worker("--processes", "2", TEST_IMPORT_GATE=str(gate))
    trial.wait_until(
        lambda: command.output().count("worker.started") >= 2, what="both processes to run"
    )
    children = command.children()
    gate.unlink()
    trial.killed_pid(children[0])
    # The dead process may have been given the signal that wakes an idle worker.
    trial.at_most("next_job_s", trial.next_job(), 8)
    time.sleep(seconds)
    trial.expect(command.process.poll() is None, "the command ended")
    gate.touch()
    back = trial.wait_until(
        lambda: command.output().count("worker.started") >= 3 or command.process.poll() is not None,
        within=limit + 30,
        what="the place to be filled",
    )
    trial.at_most("filled_after_s", back, limit)
    trial.next_job()


@scenario(
    "redis_comes_late",
    group=GROUP,
    fault="the server starts 15 s after the workers",
    promise="the first job within 5 s of its start",
    short={"seconds": 3},
)
def redis_comes_late(trial: Trial, *, seconds: float = 15, limit: float = 5) -> None:
    trial.server.kill()
    trial.worker(wait=False)
    trial.own(wait=False)
    time.sleep(seconds)
    trial.server.start()
    trial.at_most("next_job_s", trial.next_job(), limit)
    trial.settle()
