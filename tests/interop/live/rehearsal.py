"""What is done and looked at when the site's worker is switched: see ``test_switching``."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.cli import programs
from tests.interop.live.fleet import Looker
from tests.interop.live.node_side import NodeSide, NodeWorker
from tests.interop.live.oxcart_side import ROOT
from tests.interop.live.post_office import PostOffice
from tests.interop.live.seed_site import DIGEST_ADDRESS, HOUR_MS, Site
from tests.interop.live.waiting import wait_for
from tests.support import wait_until

from oxcart import JobState, Queue
from oxcart.exports import ExportRecords

PAGE = ROOT / "docs" / "how-to" / "move-a-node-worker.md"
SOME = 4
"""How many mails a worker must have sent before it counts as being at work."""


def worker_command() -> tuple[list[str], str]:
    """The page's command for the site's oxcart worker, and the name that it gives."""
    text = PAGE.read_text(encoding="utf-8")
    ((command, name),) = re.findall(
        r"^oxcart (worker --queue email.* --name (\S+))$", text, re.MULTILINE
    )
    return shlex.split(command), name


COMMAND, PYTHON = worker_command()


@dataclass(frozen=True, slots=True)
class PutOff:
    """Addresses of mails that one worker has in hand, or leaves to the other.

    Attributes:
        running: the sending lasts until it is let go.
        delayed: it was to be sent in an hour.
        retried: it failed at the worker that leaves, and is to be tried again in an hour.
    """

    running: str
    delayed: str
    retried: str


@dataclass
class Rehearsal:
    """The queues, and the workers of both kinds that are there."""

    site: Site
    office: PostOffice
    records: ExportRecords
    queues: dict[str, Queue]
    lookers: dict[str, Looker]
    env: dict[str, str]
    folder: Path
    _nodes: dict[str, NodeSide] = field(default_factory=dict)
    _node_workers: dict[str, list[NodeWorker]] = field(default_factory=dict)

    async def node_joins(self, name: str, side: NodeSide) -> None:
        """Start a Node worker of both queues, and wait until it is at work."""
        self._nodes[name] = side
        self._node_workers[name] = [
            await side.queue(queue).start_worker(name=f"{name}.{queue}", concurrency=places)
            for queue, places in (("email", 5), ("export", 2))
        ]
        await self.goes_on(name)

    async def node_leaves(self, name: str, *, running: str = "") -> None:
        """Close it, as the site's own program does on SIGTERM; a mail in hand ends after that."""
        async with asyncio.TaskGroup() as group:
            for worker in self._node_workers[name]:
                group.create_task(worker.close())
            if running:
                queue = self._nodes[name].queue("email")
                group.create_task(queue.release(self.site.mails[running]))

    @asynccontextmanager
    async def oxcart_worker(self) -> AsyncIterator[None]:
        """The page's oxcart worker; the body begins when it is at work.

        At the end it gets SIGTERM; what it runs ends after that.
        """
        log = self.folder / "output.log"
        with programs.running(*COMMAND, env=self.env, folder=self.folder) as worker:
            await wait_until(lambda: "worker.started" in log.read_text(), within=90, what=PYTHON)
            await self.goes_on(PYTHON)
            yield
            worker.send_signal(signal.SIGTERM)
            await wait_until(lambda: "worker.stopping" in log.read_text(), within=60, what="a stop")
            self.office.let_go.set()
            code = await asyncio.to_thread(worker.wait, 60)
        assert 0 == code, log.read_text()

    async def goes_on(self, name: str, *, alone: bool = False) -> None:
        """Wait until a worker has sent some more mails; if it is alone, the scheduler's too."""
        before = self.sent(name)
        await wait_until(
            lambda: (
                self.sent(name).total() >= before.total() + SOME
                and self.sent(name)[DIGEST_ADDRESS] >= before[DIGEST_ADDRESS] + alone
            ),
            within=60,
            what=f"more mails of {name}",
        )

    def sent(self, name: str = "") -> Counter[str]:
        """How many mails oxcart sent to each address, or one of Node's workers, or all of these."""
        if name == PYTHON:
            return self.office.taken.copy()
        told = [run["data"] for run in self.node_runs(name)]
        return Counter(data["toEmail"] for data in told if "toEmail" in data)

    def node_runs(self, name: str = "", *, fails: bool = False) -> list[dict[str, Any]]:
        """What Node's workers ran, all of them or one's; or else what they failed."""
        told = [run for side in self._nodes.values() for run in side.peer.notices("run")]
        return [run for run in told if run["worker"].startswith(name) and run["fails"] is fails]

    def has_failed_at_node(self, address: str) -> bool:
        """Whether a Node worker has failed the job of a mail."""
        return any(told["data"].get("toEmail") == address for told in self.node_runs(fails=True))

    def node_errors(self) -> list[str]:
        """What Node's workers reported as errors."""
        return [error for side in self._nodes.values() for error in side.peer.errors()]

    async def put_off(self, when: str) -> PutOff:
        """Leave mails for later, while one kind of worker is alone there."""
        left = PutOff(*(f"{what}-{when}@example.org" for what in ("slow", "late", "unlucky")))
        later = {"type": "fixed", "delay": HOUR_MS}
        await self.site.mail(left.delayed, delay=HOUR_MS)
        await self._wait_for_failure("email", await self.site.mail(left.retried, backoff=later))
        # Last, for a worker of oxcart has one connection to the mail server.
        slow = await self.site.mail(left.running)
        await wait_for(
            lambda: self.queues["email"].get_state(slow),
            lambda state: state is JobState.ACTIVE,
            what="the slow mail to be under way",
        )
        return left

    async def put_off_export(self) -> str:
        """Leave an export that failed at Node, which then calls its row FAILED at once."""
        later = {"type": "fixed", "delay": HOUR_MS}
        export_id = await self.site.export("unlucky", backoff=later)
        await self._wait_for_failure("export", export_id)
        assert await self.records.mark_failed(export_id, "try again later")
        return export_id

    async def _wait_for_failure(self, queue: str, job_id: str) -> None:
        await wait_for(
            lambda: self.queues[queue].get_job(job_id),
            lambda job: job is not None and job.attempts_made == 1,
            what=f"{job_id} to fail once",
        )
        assert JobState.DELAYED == await self.queues[queue].get_state(job_id)

    async def bring_forward(self, address: str) -> str:
        """Let a mail that was put off come soon; gives who sent it."""
        await self.site.bring_forward("email", self.site.mails[address])
        return await self.sender_of(address)

    async def sender_of(self, address: str) -> str:
        """Who sent a mail."""
        # Not asked of the job: of those that completed, only the last hundred are kept.
        names = (PYTHON, *self._nodes)

        def senders() -> list[str]:
            return [name for name in names if address in self.sent(name)]

        await wait_until(senders, within=60, what=f"the mail to {address}")
        return " and ".join(senders())

    async def bring_export_forward(self, export_id: str) -> str:
        """Let an export that was put off come soon; gives who made it."""
        await self.site.bring_forward("export", export_id)
        job = await wait_for(
            lambda: self.queues["export"].get_job(export_id),
            lambda job: job is not None and job.finished_at_ms is not None,
            what=f"export {export_id} to complete",
        )
        assert job is not None
        return str(job.processed_by)

    async def check_only(self, *names: str) -> None:
        """Nobody else is there, holds a job or has left one locked."""
        for queue in self.queues:
            await self._check_only_at(queue, {*names, *(f"{name}.{queue}" for name in names)})

    async def _check_only_at(self, name: str, allowed: set[str]) -> None:
        await wait_for(
            self.queues[name].get_workers,
            lambda found: {worker.name for worker in found} <= allowed,
            what=f"{allowed} alone at {name}",
        )
        active = await self.queues[name].get_jobs(JobState.ACTIVE, end=-1)
        assert {job.processed_by for job in active} <= allowed
        self.lookers[name].states()

    async def check_status(self) -> None:
        """``oxcart status`` finds everything well."""
        said = await asyncio.to_thread(programs.run, "status", "--output", "json", env=self.env)
        assert 0 == said.returncode, said.stdout + said.stderr
        assert "healthy" == json.loads(said.stdout)["overallStatus"]
