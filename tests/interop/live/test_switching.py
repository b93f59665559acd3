"""The rehearsal of docs/how-to/move-a-node-worker.md: from the Node worker to oxcart and back.

Node adds the seed system's jobs all the time; the workers come and go. oxcart's is the page's own
command, on a real mail server and database, with production's settings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis
from tests.integration.cli.programs import environment
from tests.interop.live.conftest import NodeOf
from tests.interop.live.fleet import Looker
from tests.interop.live.node_side import NodeSide
from tests.interop.live.oxcart_side import OxcartSide
from tests.interop.live.post_office import open_post_office
from tests.interop.live.rehearsal import PYTHON, Rehearsal
from tests.interop.live.seed_site import DIGEST_ADDRESS, Site
from tests.interop.live.waiting import wait_for

from oxcart.database import Database
from oxcart.database.types import ExportStatus
from oxcart.exports import ExportRecords

QUEUES = ("email", "export")


@pytest.fixture
async def rehearsal(
    node: NodeSide,
    oxcart_side: OxcartSide,
    valkey: redis.Redis,
    valkey_url: str,
    prefix: str,
    tmp_path: Path,
) -> AsyncIterator[Rehearsal]:
    """The site, its database and mail server, and nobody at work yet."""
    url = f"sqlite:///{tmp_path}/site.db"
    async with open_post_office() as office, Database(url) as database:
        site = Site(node, database)
        await site.prepare()
        env = environment(
            tmp_path,
            OXCART_ENV="production",
            REDIS_URL=valkey_url,
            OXCART_PREFIX=prefix,
            DATABASE_URL=url,
            OXCART_SIGNING_SECRET="7f3K9xQ2mZ8vR4tB6nW1cY5hJ0pL2sD4",
            OXCART_STORAGE_DIR=str(tmp_path / "exports"),
            SMTP_HOST="127.0.0.1",
            SMTP_FROM="club@club.example",
            SMTP_PORT=str(office.port),
        )
        rehearsal = Rehearsal(
            site=site,
            office=office,
            records=ExportRecords(database),
            queues={name: await oxcart_side.queue(name) for name in QUEUES},
            lookers={name: Looker(valkey, prefix, name) for name in QUEUES},
            env=env,
            folder=tmp_path,
        )
        office.has_failed_elsewhere = rehearsal.has_failed_at_node
        yield rehearsal


@pytest.mark.timeout(300)
async def test_site_goes_on_while_its_worker_is_switched_to_oxcart_and_back(
    rehearsal: Rehearsal, start_node: NodeOf, major: int
) -> None:
    site = rehearsal.site

    async with site.adding():
        await rehearsal.node_joins("node-1", start_node(major))
        await rehearsal.goes_on("node-1", alone=True)
        left, export_id = await rehearsal.put_off("to-oxcart"), await rehearsal.put_off_export()

        async with rehearsal.oxcart_worker():
            await rehearsal.goes_on("node-1")
            await rehearsal.node_leaves("node-1", running=left.running)
            await rehearsal.check_only(PYTHON)
            await rehearsal.check_status()
            assert "node-1" == await rehearsal.sender_of(left.running)
            assert PYTHON == await rehearsal.bring_forward(left.delayed)
            assert PYTHON == await rehearsal.bring_forward(left.retried)
            assert PYTHON == await rehearsal.bring_export_forward(export_id)
            await rehearsal.goes_on(PYTHON, alone=True)

            left = await rehearsal.put_off("to-node")
            await rehearsal.node_joins("node-2", start_node(major))
        await rehearsal.check_only("node-2")
        assert PYTHON == await rehearsal.sender_of(left.running)
        assert "node-2" == await rehearsal.bring_forward(left.delayed)
        assert "node-2" == await rehearsal.bring_forward(left.retried)
        await rehearsal.goes_on("node-2", alone=True)

    for queue in rehearsal.queues.values():
        await wait_for(queue.get_counts, lambda now: not now.pending + now.active, what="all")
    await rehearsal.node_leaves("node-2")

    check_each_ran_once(rehearsal)
    check_each_was_sent_once(rehearsal)
    await check_exports(rehearsal)
    assert [] == rehearsal.node_errors()


def check_each_ran_once(rehearsal: Rehearsal) -> None:
    """Every job was begun once, and once more for each failure, and completed once."""
    failures = [told["job"] for told in rehearsal.node_runs(fails=True)]
    failures += [rehearsal.site.mails[address] for address in rehearsal.office.put_off]
    mails = set(rehearsal.site.mails.values())
    for name, added in (("email", mails), ("export", set(rehearsal.site.exports))):
        looker = rehearsal.lookers[name]
        completed = looker.announced("completed")
        scheduled = {job_id for job_id in completed if job_id.startswith("repeat:")}
        assert Counter(added | scheduled) == completed
        again = Counter(job_id for job_id in failures if job_id in completed)
        assert completed + again == looker.announced("active")
        assert Counter() == looker.announced("failed") + looker.announced("stalled")
        assert {"completed"} == set(looker.states().values())


def check_each_was_sent_once(rehearsal: Rehearsal) -> None:
    """Every mail left by one of the two, and no mail left that was not asked for."""
    completed = rehearsal.lookers["email"].announced("completed")
    digests = [job_id for job_id in completed if job_id.startswith("repeat:")]
    wanted = Counter([*rehearsal.site.mails, *[DIGEST_ADDRESS] * len(digests)])
    assert wanted == rehearsal.sent() + rehearsal.sent(PYTHON)


async def check_exports(rehearsal: Rehearsal) -> None:
    """What Node did not write was written by oxcart: the row says so, and the file is there."""
    by_node = {told["job"] for told in rehearsal.node_runs() if "exportJobId" in told["data"]}
    by_oxcart = set(rehearsal.site.exports) - by_node
    for export_id in by_oxcart:
        record = await rehearsal.records.get(export_id)
        assert record is not None
        assert ExportStatus.COMPLETED == record.status
    files = {path.stem for path in (rehearsal.folder / "exports").iterdir() if path.is_file()}
    assert by_oxcart == files
    assert min(len(by_node), len(by_oxcart)) > 0
