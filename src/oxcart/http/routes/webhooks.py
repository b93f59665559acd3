"""The deliveries of webhooks, and sending one again; for operators."""

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from oxcart.http.dependencies import CurrentSystem, Operator, record_for_audit
from oxcart.http.problems import Kind, ProblemError
from oxcart.http.webhook_view import (
    DeliveriesAnswer,
    DeliveriesQuery,
    DeliveryAnswer,
    ShownDelivery,
)
from oxcart.webhooks.errors import DeliveryNotFound
from oxcart.webhooks.records import DeliveryRecords
from oxcart.webhooks.states import DeliveryState

_ID = re.compile(r"dlv_[a-z0-9]{1,64}\Z")

router = APIRouter(prefix="/api/webhooks/deliveries", tags=["webhooks"])


def _records(system: CurrentSystem) -> DeliveryRecords:
    return DeliveryRecords(system.database)


def _delivery_id(delivery_id: Annotated[str, Path(alias="deliveryId")]) -> str:
    if not _ID.match(delivery_id):
        raise ProblemError(Kind.NOT_FOUND, "no such delivery")
    return delivery_id


Records = Annotated[DeliveryRecords, Depends(_records)]
DeliveryId = Annotated[str, Depends(_delivery_id)]


@router.get("")
async def list_deliveries(
    _operator: Operator, records: Records, query: Annotated[DeliveriesQuery, Query()]
) -> DeliveriesAnswer:
    """List the deliveries of webhooks, newest first, without their attempts."""
    found = await records.find(
        state=None if query.state is None else DeliveryState(query.state),
        endpoint=query.endpoint,
        limit=query.limit,
    )
    return DeliveriesAnswer(success=True, deliveries=[ShownDelivery.of(item) for item in found])


@router.get("/{deliveryId}")
async def get_delivery(
    _operator: Operator, delivery_id: DeliveryId, records: Records
) -> DeliveryAnswer:
    """Show a delivery with every attempt."""
    item = await records.get(delivery_id, with_log=True)
    if item is None:
        raise DeliveryNotFound(delivery_id)
    return DeliveryAnswer(success=True, delivery=ShownDelivery.of(item))


@router.post("/{deliveryId}/redeliver")
async def redeliver(
    request: Request, _operator: Operator, delivery_id: DeliveryId, records: Records
) -> DeliveryAnswer:
    """Send a message again, with the same id, from the first attempt on."""
    record_for_audit(request, delivery_id=delivery_id)
    item = await records.redeliver(delivery_id)
    return DeliveryAnswer(success=True, delivery=ShownDelivery.of(item))
