"""The private Valkey of a data folder: killed, frozen, cut off, full, deleted."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tests.faults.catalogue.checks import Allowed
from tests.faults.catalogue.ledger import ACKNOWLEDGED
from tests.faults.catalogue.parts import EmbeddedServer, send
from tests.faults.catalogue.registry import scenario
from tests.faults.catalogue.scenarios.network import longest_gap
from tests.faults.catalogue.scenarios.server import gone_jobs, truncate_to
from tests.faults.catalogue.trial import Trial

GROUP = "The private Valkey"
OPTIONS = {"server": EmbeddedServer}


@scenario(
    "embedded_killed",
    group=GROUP,
    fault="kill -9 of the server 5 times under 300 jobs a second",
    promise="no job lost, no gap over 5 s",
    options=OPTIONS,
    short={"rounds": 1},
)
def embedded_killed(trial: Trial, *, rounds: int = 5, limit: float = 5) -> None:
    trial.worker(concurrency=20)
    producer = trial.producer(rate=300, own_ids=True)
    trial.wait_for_starts(50)
    for _ in range(rounds):
        time.sleep(3)
        trial.server.kill()
    time.sleep(3)
    producer.signal(signal.SIGTERM)
    producer.wait()
    trial.settle()
    trial.at_most("longest_gap_s", longest_gap(trial), limit)


@scenario(
    "embedded_owner_killed",
    group=GROUP,
    fault="the owner's child, supervisor, tree are killed in turn",
    promise="no job lost, the same server is taken over",
    options=OPTIONS,
)
def embedded_owner_killed(trial: Trial) -> None:
    command = trial.worker(concurrency=20)
    first = trial.server.pid
    trial.worker(concurrency=20)
    producer = trial.producer(rate=200, own_ids=True)
    trial.wait_for_starts(50)
    send(command.children()[0], signal.SIGKILL)
    time.sleep(4)
    send(command.process.pid, signal.SIGKILL)
    command.process.wait()
    time.sleep(4)
    command = trial.worker(concurrency=20)
    time.sleep(2)
    trial.killed(command)
    time.sleep(4)
    producer.signal(signal.SIGTERM)
    producer.wait()
    trial.settle()
    trial.expect(trial.server.pid == first, "another server was started")


@scenario(
    "embedded_all_killed",
    group=GROUP,
    fault="the server and every program are killed at once under load",
    promise="no job lost; all are settled within 90 s of the restart",
    options=OPTIONS,
)
@scenario(
    "embedded_power_cut",
    group=GROUP,
    fault="the same, and the last second of the append-only file is cut off",
    promise="only jobs acknowledged in that second are lost",
    options={**OPTIONS, "cut_s": 1.0},
)
def embedded_all_killed(trial: Trial, *, cut_s: float = 0, limit: float = 90) -> None:
    if cut_s:
        trial.allowed = Allowed(
            lost="the file lacks them", completed_twice="the file lacks their completion"
        )
    command = trial.worker(concurrency=20)
    producer = trial.producer(rate=300)
    trial.wait_for_starts(500)
    time.sleep(2)
    files = (trial.server.folder / "valkey").glob("appendonlydir/*.incr.aof")
    sizes = {path: path.stat().st_size for path in files}
    time.sleep(cut_s)
    cut_ms = (time.time() - cut_s) * 1_000
    server = trial.server.pid
    trial.killed(command)
    send(server, signal.SIGKILL)
    producer.kill()
    trial.wait_until(lambda: not Path(f"/proc/{server}").exists(), what="the server to end")
    if cut_s:
        truncate_to(sizes)
    started = time.monotonic()
    trial.worker(concurrency=20)
    trial.wait_until(trial.is_settled, within=limit + 60, step=0.2, what="all to be settled")
    trial.at_most("settled_s", time.monotonic() - started, limit)
    if cut_s:
        gone = gone_jobs(trial)
        oldest = max((cut_ms - at_ms) / 1_000 for at_ms in [*gone, cut_ms])
        trial.figures["gone"] = len(gone)
        trial.figures["oldest_before_the_cut_s"] = round(oldest, 2)
        trial.expect(oldest < 0.5, f"a job was lost that was {oldest:.2f} s older than the cut")


@scenario(
    "embedded_many",
    group=GROUP,
    fault="4 workers and 3 producers start at once on one folder, then 2 workers are stopped",
    promise="one server, no job lost",
    options=OPTIONS,
)
def embedded_many(trial: Trial) -> None:
    commands = [trial.worker(wait=False) for _ in range(4)]
    producers = [trial.producer(rate=100, count=500) for _ in range(3)]
    trial.wait_for_starts(300)
    for command in commands[:2]:
        command.process.terminate()
    for producer in producers:
        producer.wait(within=120)
    trial.settle()
    codes = [trial.ended(command.process, within=60) for command in commands[:2]]
    trial.expect(codes == [0, 0], f"the exit codes are {codes}")


@scenario(
    "embedded_disk_full",
    group=GROUP,
    fault="the disk of the folder is full for 15 s",
    promise="acknowledged again within 5 s of room; no job lost",
    options=OPTIONS,
    needs="root",
)
def embedded_disk_full(trial: Trial, *, seconds: float = 15, limit: float = 5) -> None:
    data = trial.server.folder
    data.mkdir(exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m,mode=0700", "tmpfs", str(data)], check=True
    )
    try:
        trial.worker(concurrency=20)
        producer = trial.producer(rate=200, own_ids=True)
        trial.wait_for_starts(200)
        filler = data / "filler"
        with filler.open("wb") as file:
            free = shutil.disk_usage(data).free
            os.posix_fallocate(file.fileno(), 0, max(1, free - 65_536))
        time.sleep(seconds)
        filler.unlink()
        before = sum(1 for _ in trial.lines(ACKNOWLEDGED))
        again = trial.wait_until(
            lambda: sum(1 for _ in trial.lines(ACKNOWLEDGED)) > before, what="an acknowledged add"
        )
        trial.at_most("acknowledged_after_s", again, limit)
        producer.signal(signal.SIGTERM)
        producer.wait()
        trial.settle()
        trial.check()
        trial.expect(trial.figures.get("refused"), "no add was refused: the disk was not full")
    finally:
        trial.end_programs()
        subprocess.run(["umount", "-l", str(data)], check=False)


@scenario(
    "embedded_frozen",
    group=GROUP,
    fault="SIGSTOP of the server for 20 s under load",
    promise="the next job within 5 s of SIGCONT; the same server",
    options=OPTIONS,
)
def embedded_frozen(trial: Trial, *, seconds: float = 20, limit: float = 5) -> None:
    trial.worker(concurrency=20)
    first = trial.server.pid
    producer = trial.producer(rate=200, own_ids=True)
    trial.wait_for_starts(100)
    with trial.stopped(first):
        time.sleep(seconds)
    trial.at_most("next_job_s", trial.next_job(), limit)
    producer.signal(signal.SIGTERM)
    producer.wait()
    trial.settle()
    trial.expect(trial.server.pid == first, "another server was started")


@scenario(
    "embedded_folder_gone",
    group=GROUP,
    fault="the data folder is deleted while a worker runs",
    promise="an error is logged within 10 s",
    options=OPTIONS,
)
def embedded_folder_gone(trial: Trial, *, limit: float = 10) -> None:
    trial.allowed = Allowed(lost="their file is deleted")
    command = trial.worker()
    trial.next_job()
    trial.check()
    record = trial.server.record
    before = len(command.output())
    shutil.rmtree(trial.server.folder)
    words = ("folder", "gone", "deleted", "missing")
    seen = trial.wait_until(
        lambda: any(
            "embedded" in line and any(word in line for word in words)
            for line in command.output()[before:].splitlines()
        ),
        within=limit + 20,
        what="the loss to be logged",
    )
    trial.at_most("logged_after_s", seen, limit)
    send(int(record["pid"]), signal.SIGKILL)
