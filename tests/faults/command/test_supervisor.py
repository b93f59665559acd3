"""The command's processes die, stand still, or lose the one that watches over them.

The stalled check is switched off where a job is to come back without it: by a guard that never runs
out, the key that tells workers that one has just checked.
"""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.faults.aftermath import Aftermath
from tests.faults.command.conftest import Start
from tests.faults.commands import is_alive
from tests.faults.processes import QUICK, Ledger, WorkerProcess
from tests.support import wait_until_sync

from oxcart.embedded import EmbeddedValkey
from oxcart.sync import Queue

REASON = b"job stalled more than allowable limit: the process that ran it alone died 2 times"
LONG_S = 60


@pytest.fixture
def no_stalled_check(valkey: redis.Redis, prefix: str) -> None:
    """Keep every worker of the queue from checking for stalled jobs."""
    valkey.set(f"{prefix}:q:stalled-check", "just now")


def pid_of_start(ledger: Ledger, job_id: str, run: int = 1) -> int:
    """Wait for a run of a job to begin; the process that runs it."""
    wait_until_sync(
        lambda: ledger.starts()[job_id] >= run,
        within=LONG_S,
        what=f"run {run} of job {job_id} to begin",
    )
    lines = [line for line in ledger.lines("start") if line["job"] == job_id]
    return int(lines[run - 1]["pid"])


@pytest.mark.usefixtures("no_stalled_check")
def test_job_of_a_killed_process_is_back_without_the_stalled_check(
    start: Start, queue: Queue, aftermath: Aftermath, tmp_path: Path, valkey: redis.Redis
) -> None:
    gate = tmp_path / "gate"
    job = queue.add("wait_for", {"path": str(gate)})

    command = start()
    killed = pid_of_start(aftermath.ledger, job.id)
    os.kill(killed, signal.SIGKILL)
    successor = pid_of_start(aftermath.ledger, job.id, run=2)
    gate.touch()
    aftermath.wait_for(1)

    assert killed not in (successor, command.process.pid)
    assert b"1" == valkey.hget(f"{aftermath.prefix}:q:{job.id}", "stc")
    entries: Any = valkey.xrange(f"{aftermath.prefix}:q:events")
    events = [fields[b"event"] for _, fields in entries if fields.get(b"jobId") == job.id.encode()]
    assert [b"waiting", b"stalled", b"active", b"completed"] == events[-4:]
    assert {job.id: "completed"} == aftermath.partition().states
    assert "supervisor.worker_died" in command.output()


@pytest.mark.usefixtures("no_stalled_check")
def test_jobs_that_others_hold_are_left_alone(
    start: Start,
    queue: Queue,
    aftermath: Aftermath,
    tmp_path: Path,
    valkey: redis.Redis,
    valkey_url: str,
) -> None:
    """The neighbour is of another command, and holds its job when the process dies."""
    theirs = queue.add("work", {"ms": 600_000})
    neighbour = WorkerProcess(
        url=valkey_url,
        prefix=aftermath.prefix,
        queues={"q": 1},
        ledger=aftermath.ledger,
        log=tmp_path / "neighbour.log",
        options={**QUICK, "lock": "30s"},
    )
    try:
        pid_of_start(aftermath.ledger, theirs.id)
        lock = valkey.get(f"{aftermath.prefix}:q:{theirs.id}:lock")
        gate = tmp_path / "gate"
        ours = [queue.add("wait_for", {"path": str(gate)}).id for _ in range(3)]
        start()
        killed = {pid_of_start(aftermath.ledger, job_id) for job_id in ours}
        os.kill(killed.pop(), signal.SIGKILL)
        for job_id in ours:
            pid_of_start(aftermath.ledger, job_id, run=2)
        gate.touch()
        aftermath.wait_for(3)

        assert set() == killed
        assert lock == valkey.get(f"{aftermath.prefix}:q:{theirs.id}:lock")
        assert 1 == aftermath.ledger.starts()[theirs.id]
        assert "active" == aftermath.partition().states[theirs.id]
    finally:
        neighbour.kill()


@pytest.mark.usefixtures("no_stalled_check")
@pytest.mark.parametrize("code", [None, 1, 0], ids=["killed", "code 1", "code 0"])
def test_job_that_ends_its_process_twice_fails_with_the_reason(
    start: Start, queue: Queue, aftermath: Aftermath, valkey: redis.Redis, code: int | None
) -> None:
    job = queue.add("die", {"code": code})

    command = start()
    failed = f"{aftermath.prefix}:q:failed"
    wait_until_sync(lambda: valkey.zscore(failed, job.id), within=LONG_S, what="the job to fail")
    other = queue.add("work")
    aftermath.wait_for(1)

    assert REASON == valkey.hget(f"{aftermath.prefix}:q:{job.id}", "failedReason")
    assert 2 == aftermath.ledger.starts()[job.id]
    assert {job.id: "failed", other.id: "completed"} == aftermath.partition().states
    assert command.process.poll() is None


def test_code_that_lets_no_thread_run_does_not_cost_the_job_its_lock(
    start: Start, queue: Queue, aftermath: Aftermath, valkey: redis.Redis, valkey_url: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    """Another worker looks for stalled jobs all the time, and would run the job."""
    job = queue.add("freeze", {"seconds": 12})
    command = start(lock="4s")
    pid_of_start(aftermath.ledger, job.id)
    sweeping = WorkerProcess(
        url=valkey_url,
        prefix=aftermath.prefix,
        queues={"q": 1},
        ledger=aftermath.ledger,
        log=tmp_path / "sweeping.log",
        options=QUICK,
    )
    try:
        aftermath.wait_for(1, within=LONG_S)
    finally:
        sweeping.kill()

    assert 1 == aftermath.ledger.starts()[job.id] == aftermath.ledger.ends()[job.id]
    assert None is valkey.hget(f"{aftermath.prefix}:q:{job.id}", "stc")
    assert "supervisor.worker_stands_still" in command.output()


@pytest.mark.usefixtures("no_stalled_check")
def test_lock_that_ran_out_before_it_could_be_kept_is_not_taken_for_kept(
    start: Start, queue: Queue, aftermath: Aftermath, valkey: redis.Redis
) -> None:
    """The parent comes too late, and then renews: what had run out is not among it."""
    job = queue.add("freeze", {"seconds": 15})
    command = start(lock="4s")
    pid_of_start(aftermath.ledger, job.id)
    command.process.send_signal(signal.SIGSTOP)
    lock = f"{aftermath.prefix}:q:{job.id}:lock"
    wait_until_sync(lambda: not valkey.exists(lock), within=LONG_S, what="the lock to run out")
    command.process.send_signal(signal.SIGCONT)
    ends = ("job.lock_lost", "job.not_ours_any_more")
    wait_until_sync(
        lambda: any(end in command.output() for end in ends),
        within=LONG_S,
        what="the run to end",
    )

    assert "supervisor.worker_stands_still" in command.output()
    assert 0 == aftermath.ledger.ends()[job.id], "it believed that the job was still its own"


@pytest.mark.usefixtures("no_stalled_check")
def test_process_that_stands_still_for_too_long_is_killed_and_replaced(
    start: Start, queue: Queue, aftermath: Aftermath, valkey: redis.Redis
) -> None:
    job = queue.add("freeze", {"seconds": 600})

    command = start(lock="4s", OXCART_FROZEN_SECONDS="3")
    failed = f"{aftermath.prefix}:q:failed"
    wait_until_sync(lambda: valkey.zscore(failed, job.id), within=LONG_S, what="the job to fail")

    assert REASON == valkey.hget(f"{aftermath.prefix}:q:{job.id}", "failedReason")
    assert 2 == aftermath.ledger.starts()[job.id]
    assert 2 == command.output().count("supervisor.worker_killed")


@pytest.mark.usefixtures("no_stalled_check")
def test_process_that_stands_still_while_all_stop_is_killed_and_its_job_given_back(
    start: Start, queue: Queue, aftermath: Aftermath
) -> None:
    job = queue.add("freeze", {"seconds": 600})

    command = start(OXCART_GRACE_SECONDS="1")
    pid_of_start(aftermath.ledger, job.id)
    command.process.terminate()
    code = command.wait()

    assert 128 + signal.SIGKILL == code
    partition = aftermath.partition()
    assert ({job.id: "wait"}, set()) == (partition.states, partition.locks)


def test_process_whose_parent_is_killed_finishes_its_jobs_and_ends(
    start: Start, queue: Queue, aftermath: Aftermath, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    job = queue.add("wait_for", {"path": str(gate)})

    command = start()
    child = pid_of_start(aftermath.ledger, job.id)
    command.process.kill()
    wait_until_sync(
        lambda: "worker.stopping" in command.output(), within=LONG_S, what="the child to notice"
    )
    gate.touch()
    wait_until_sync(lambda: not is_alive(child), within=LONG_S, what="the child to end")

    assert {job.id: 1} == aftermath.ledger.ends()
    assert {job.id: "completed"} == aftermath.partition().states


def test_first_signal_lets_jobs_finish_and_the_second_puts_them_back(
    start: Start, queue: Queue, aftermath: Aftermath, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    job = queue.add("wait_for", {"path": str(gate)})
    endless = queue.add("work", {"ms": 600_000})

    command = start(OXCART_GRACE_SECONDS="600")
    for job_id in (job.id, endless.id):
        pid_of_start(aftermath.ledger, job_id)
    command.process.send_signal(signal.SIGINT)
    wait_until_sync(lambda: "worker.stopping" in command.output(), what="the child to be told")
    gate.touch()
    aftermath.wait_for(1)
    command.process.terminate()
    code = command.wait()

    partition = aftermath.partition()
    assert 0 == code, command.output()
    assert {job.id: "completed", endless.id: "wait"} == partition.states
    assert set() == partition.locks


@pytest.mark.parametrize("also", ["the tree is told", "the parent is killed"])
def test_only_the_second_signal_of_the_command_puts_jobs_back(
    start: Start, queue: Queue, aftermath: Aftermath, tmp_path: Path, also: str
) -> None:
    """systemd gives SIGTERM to every process of a unit, if it is not told otherwise."""
    gate = tmp_path / "gate"
    job = queue.add("wait_for", {"path": str(gate)})

    command = start(OXCART_GRACE_SECONDS="600")
    child = pid_of_start(aftermath.ledger, job.id)
    command.process.terminate()
    wait_until_sync(lambda: "worker.stopping" in command.output(), what="the child to be told")
    if also == "the tree is told":
        os.kill(child, signal.SIGTERM)
    else:
        command.process.kill()
        command.process.wait()
    with pytest.raises(AssertionError):  # it goes on
        wait_until_sync(lambda: not is_alive(child), within=1, what="the child to end")
    gate.touch()
    wait_until_sync(lambda: not is_alive(child), within=LONG_S, what="the child to end")

    assert {job.id: "completed"} == aftermath.partition().states


def test_process_that_somebody_else_stops_is_replaced(
    start: Start, queue: Queue, aftermath: Aftermath
) -> None:
    first = queue.add("work")
    command = start()
    stopped = pid_of_start(aftermath.ledger, first.id)
    os.kill(stopped, signal.SIGTERM)
    wait_until_sync(lambda: not is_alive(stopped), within=LONG_S, what="the child to end")
    second = queue.add("work")
    successor = pid_of_start(aftermath.ledger, second.id)
    aftermath.wait_for(2)
    command.process.terminate()

    assert 0 == command.wait()
    assert successor != stopped
    assert "supervisor.worker_ended" in command.output()


def test_two_processes_share_the_work(start: Start, queue: Queue, aftermath: Aftermath) -> None:
    command = start("--processes", "2", "-q", "q:1")
    wait_until_sync(
        lambda: command.output().count("worker.started") == 2,
        within=LONG_S,
        what="both processes to run",
    )
    jobs = [queue.add("work", {"ms": 50}).id for _ in range(40)]
    aftermath.wait_for(40)
    children = set(command.children())
    command.process.terminate()
    code = command.wait()

    assert 0 == code
    assert children == {line["pid"] for line in aftermath.ledger.lines("start")}
    assert 2 == len(children)
    aftermath.check_all_completed(jobs, extra_runs=0)


def test_wrong_setting_is_told_once_and_nothing_is_started(start: Start) -> None:
    command = start(OXCART_PROCESSES="2", OXCART_GRACE_SECONDS="soon")

    assert 3 == command.wait()
    assert 1 == command.output().count("OXCART_GRACE_SECONDS")


def test_application_that_cannot_be_imported_ends_the_command_with_its_code(start: Start) -> None:
    command = start(PYTHONPATH="")

    assert 3 == command.wait()
    assert 1 == command.output().count("there is no module 'supervised'")
    assert "restart" not in command.output()


def test_process_that_is_killed_at_each_start_is_given_up(start: Start) -> None:
    command = start(TEST_DIES_AT_IMPORT="yes")

    assert 128 + signal.SIGKILL == command.wait()
    assert 3 == command.output().count("supervisor.worker_died")
    assert "supervisor.gave_up" in command.output()


@pytest.mark.usefixtures("no_stalled_check")
def test_failing_starts_of_one_process_do_not_end_the_others(
    start: Start, queue: Queue, aftermath: Aftermath, tmp_path: Path
) -> None:
    """The import fails more often than a single process would be allowed to."""
    broken = tmp_path / "broken"
    command = start("--processes", "2", "-q", "q:1", TEST_FAILS_AT_IMPORT_IF=str(broken))
    wait_until_sync(
        lambda: command.output().count("worker.started") == 2, within=LONG_S, what="both to run"
    )
    first, second = command.children()
    broken.touch()
    os.kill(first, signal.SIGKILL)
    wait_until_sync(
        lambda: command.output().count("the database of the import is away") >= 5,
        within=LONG_S,
        what="five starts to fail",
    )
    meanwhile = queue.add("work")
    assert second == pid_of_start(aftermath.ledger, meanwhile.id)
    broken.unlink()
    wait_until_sync(
        lambda: command.output().count("worker.started") == 3,
        within=LONG_S,
        what="the place to be filled again",
    )
    command.process.terminate()

    assert 0 == command.wait()
    assert "supervisor.gave_up" not in command.output()


def test_start_that_hangs_is_killed_and_tried_again(
    start: Start, queue: Queue, aftermath: Aftermath, tmp_path: Path
) -> None:
    first = queue.add("work")
    hangs = tmp_path / "hangs"
    command = start(TEST_HANGS_AT_IMPORT_IF=str(hangs), OXCART_START_SECONDS="8")
    killed = pid_of_start(aftermath.ledger, first.id)
    aftermath.wait_for(1)  # it holds no job, which another process would run alone
    hangs.touch()
    os.kill(killed, signal.SIGKILL)
    wait_until_sync(
        lambda: "supervisor.start_slow" in command.output(), within=LONG_S, what="a slow start"
    )
    hangs.unlink()
    second = queue.add("work")
    successor = pid_of_start(aftermath.ledger, second.id)
    command.process.terminate()

    assert 0 == command.wait()
    assert successor != killed
    output = command.output()
    assert 1 == output.count("supervisor.start_timed_out")
    assert "time.sleep(100_000)" in output.split("supervisor.start_timed_out")[1]


def test_first_start_that_hangs_each_time_ends_the_command(start: Start, tmp_path: Path) -> None:
    (tmp_path / "hangs").touch()

    command = start(TEST_HANGS_AT_IMPORT_IF=str(tmp_path / "hangs"), OXCART_START_SECONDS="2")

    assert 128 + signal.SIGKILL == command.wait(within=LONG_S)
    assert 4 == command.output().count("supervisor.start_timed_out")
    assert "supervisor.gave_up" in command.output()


@pytest.mark.usefixtures("no_stalled_check")
def test_jobs_go_back_although_no_other_process_can_be_started(
    start: Start, queue: Queue, aftermath: Aftermath, tmp_path: Path
) -> None:
    """The limit of open files is that of the command alone, as one of processes would be."""
    job = queue.add("wait_for", {"path": str(tmp_path / "never")})

    command = start()
    killed = pid_of_start(aftermath.ledger, job.id)
    opened = max(int(entry.name) for entry in Path(f"/proc/{command.process.pid}/fd").iterdir())
    _, most = resource.prlimit(command.process.pid, resource.RLIMIT_NOFILE)
    # What the dead process leaves suffices for a connection, and not for another process.
    resource.prlimit(command.process.pid, resource.RLIMIT_NOFILE, (opened + 1, most))
    os.kill(killed, signal.SIGKILL)
    wait_until_sync(
        lambda: "supervisor.not_started" in command.output(), within=LONG_S, what="a failed start"
    )
    resource.prlimit(command.process.pid, resource.RLIMIT_NOFILE, (most, most))
    pid_of_start(aftermath.ledger, job.id, run=2)
    assert "supervisor.jobs_not_given_back" not in command.output()


def test_command_without_other_processes_runs_jobs_itself(
    start: Start, queue: Queue, aftermath: Aftermath
) -> None:
    queue.add("work")

    command = start(OXCART_PROCESSES="0")
    aftermath.wait_for(1)

    assert [command.process.pid] == [line["pid"] for line in aftermath.ledger.lines("start")]


def test_private_server_outlives_the_process_that_started_it(
    start: Start, tmp_path: Path, prefix: str, ledger: Ledger
) -> None:
    gate = tmp_path / "gate"
    with (
        EmbeddedValkey(tmp_path / "data") as server,
        Queue("q", prefix=prefix, redis_url=server.url) as queue,
    ):
        job = queue.add("wait_for", {"path": str(gate)})
    command = start(url=None)
    killed = pid_of_start(ledger, job.id)
    os.kill(killed, signal.SIGKILL)
    pid_of_start(ledger, job.id, run=2)
    gate.touch()
    wait_until_sync(lambda: ledger.ends()[job.id], within=LONG_S, what="the job to end")
    command.process.terminate()

    assert 0 == command.wait()
    assert 1 == command.output().count("embedded.adopted")
