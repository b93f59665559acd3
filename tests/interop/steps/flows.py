"""Flows: adding trees, waiting for children, and how a parent's children stand."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tests.interop.node_options import options_of
from tests.interop.registry import operation
from tests.interop.session import PREFIX, Session
from tests.interop.vectors import Step

from oxcart import FlowNode, FlowProducer


@operation("addFlow", fields="flow", opens=False)
async def add_flow(session: Session, step: Step) -> dict[str, str]:
    producer = FlowProducer(prefix=PREFIX, store=session.store, clock=session.clock)
    added = await producer.add(_node(step["flow"]))
    return {"jobId": added.job.id}


@operation("getChildrenValues", fields="jobId")
async def get_children_values(session: Session, step: Step) -> dict[str, Any]:
    return await session.queue(step).get_children_values(step["jobId"])


@operation("getIgnoredChildrenFailures", fields="jobId")
async def get_ignored_children_failures(session: Session, step: Step) -> dict[str, str]:
    return await session.queue(step).get_ignored_children_failures(step["jobId"])


@operation("getDependencies", fields="jobId")
async def get_dependencies(session: Session, step: Step) -> dict[str, Any]:
    found = await session.queue(step).get_dependencies(step["jobId"])
    return {
        "processed": found.processed,
        "unprocessed": list(found.unprocessed),
        "ignored": found.ignored,
        "failed": list(found.failed),
    }


@operation("getDependenciesCount", fields="jobId")
async def get_dependencies_count(session: Session, step: Step) -> dict[str, int]:
    return asdict(await session.queue(step).get_dependencies_count(step["jobId"]))


@operation("removeUnprocessedChildren", fields="jobId")
async def remove_unprocessed_children(session: Session, step: Step) -> str:
    await session.queue(step).remove_unprocessed_children(step["jobId"])
    return "ok"


@operation("removeChildDependency", fields="jobId")
async def remove_child_dependency(session: Session, step: Step) -> bool:
    return await session.queue(step).remove_child_dependency(step["jobId"])


def _node(flow: dict[str, Any]) -> FlowNode:
    assert flow.keys() <= {"name", "queueName", "data", "opts", "children"}, flow
    return FlowNode(
        flow["name"],
        queue=flow["queueName"],
        data=flow.get("data", {}),
        options=options_of(flow.get("opts") or {}),
        children=[_node(child) for child in flow.get("children", [])],
    )
