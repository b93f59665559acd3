"""Building a worker's steps with defaults."""

from __future__ import annotations

from typing import Any

from tests.integration.lua.keyspace import NOW, Keyspace, Table, job

from oxcart._model.outcome import Completed, Failed, Outcome
from oxcart._store.calls.stepping import EndedRun, StepReply, TakeRequest, Terms, plain_step, step

TOKEN = "tok"
DONE = Completed(b"null")
FAILED = Failed("boom", "trace")


def end(job_id: str, outcome: Outcome = DONE, **changes: Any) -> EndedRun:
    """A run to end, under the usual token; with changes to the run or to its terms."""
    terms = {name: changes.pop(name) for name in ("attempts", "lifo", "keep") if name in changes}
    run = {"job_id": job_id, "token": TOKEN, "outcome": outcome, "terms": Terms(**terms), **changes}
    return EndedRun(**run)


async def send(
    space: Keyspace,
    *runs: EndedRun,
    take: int = 0,
    sequence: int = 0,
    token: str = TOKEN,
    worker_name: str | None = None,
    plain: bool = False,
) -> StepReply:
    """Send a step of the worker ``w``; if it is to be plain, the server must find that it is."""
    call = (plain_step if plain else step)(
        space.keys,
        runs,
        TakeRequest(count=take, token=token, lock_ms=30_000, worker_name=worker_name),
        clock=space.clock,
        worker_id="w",
        sequence=sequence,
    )
    reply: StepReply = await space.run(call)
    return reply


def active(*job_ids: str, **changes: str) -> Table:
    """The keys of jobs that are being run, the last id taken first."""
    table: Table = {"active": list(job_ids)}
    for job_id in job_ids:
        table[job_id] = run_job(**changes)
        table[f"{job_id}:lock"] = TOKEN
    return table


def run_job(**changes: str) -> dict[str, str]:
    """The hash of a job that is being run, or was."""
    return job(processedOn=str(NOW - 5), ats="1", **changes)


def ids_of(reply: StepReply) -> list[str]:
    """The jobs that a step took."""
    return [taken.job_id for taken in reply.taken]
