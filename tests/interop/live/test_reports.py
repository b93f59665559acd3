"""Progress, logs and data that a handler writes, read by the other side."""

from __future__ import annotations

from typing import Any

from tests.interop.live.node_side import NodeSide
from tests.interop.live.oxcart_side import OxcartSide, wait_for_event

DATA: dict[str, Any] = {
    "rows": ["first row", "Grüße 🐂", ""],
    "progress": [50, 99.5, {"done": 3, "of": [4]}],
}


async def test_node_reads_progress_and_logs_of_a_job_that_oxcart_runs(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    events = await node.queue().follow()
    added = await node.queue().add("report", DATA)

    async with oxcart_side.worker():
        await node.queue().result(added["id"])
        await events.wait_for("completed")

    seen = await node.queue().job(added["id"])
    logs = await node.queue().call("getJobLogs", added["id"])
    assert DATA["progress"] == [told["data"] for told in events.named("progress")]
    assert DATA["progress"][-1] == seen["progress"]
    assert {"logs": DATA["rows"], "count": 3} == logs


async def test_oxcart_reads_progress_logs_and_data_of_a_job_that_node_runs(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    await node.queue().start_worker()

    async with oxcart_side.follow() as seen:
        job = await queue.add("report", DATA)
        await wait_for_event(seen, "completed", job_id=job.id)

    job = await job.refresh()
    logs = await queue.get_logs(job.id)
    told = [event.data["data"] for event in seen if event.name == "progress"]
    assert DATA["progress"] == told
    assert DATA["progress"][-1] == job.progress
    assert (tuple(DATA["rows"]), 3) == (logs.rows, logs.count)
    assert {**DATA, "reported": True} == job.data


async def test_log_limit_of_either_side_is_kept_by_the_other(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    by_node = await node.queue().add("report", DATA, keepLogs=2)
    async with oxcart_side.worker():
        await node.queue().result(by_node["id"])

    await node.queue().start_worker()
    by_oxcart = await queue.add("report", DATA, log_limit=2)
    await by_oxcart.result()

    kept = await node.queue().call("getJobLogs", by_node["id"])
    assert DATA["rows"][-2:] == kept["logs"]
    assert tuple(DATA["rows"][-2:]) == (await queue.get_logs(by_oxcart.id)).rows


async def test_each_side_changes_what_the_other_added(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    by_node = await node.queue().add("echo", {"version": 1})
    by_oxcart = await queue.add("echo", {"version": 1})

    await queue.update_data(by_node["id"], {"version": 2})
    await queue.update_progress(by_node["id"], {"seen": True})
    await queue.add_log(by_node["id"], "by oxcart")
    await node.queue().call_job(by_oxcart.id, "updateData", {"version": 3})
    await node.queue().call_job(by_oxcart.id, "updateProgress", 7)
    await node.queue().call("addJobLog", by_oxcart.id, "by node")

    seen = await node.queue().job(by_node["id"])
    logs = await node.queue().call("getJobLogs", by_node["id"])
    job = await by_oxcart.refresh()
    assert ({"version": 2}, {"seen": True}) == (seen["data"], seen["progress"])
    assert ["by oxcart"] == logs["logs"]
    assert ({"version": 3}, 7) == (job.data, job.progress)
    assert ("by node",) == (await queue.get_logs(job.id)).rows
