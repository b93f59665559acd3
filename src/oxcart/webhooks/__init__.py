"""Webhooks by the Standard Webhooks specification: signed messages to endpoints, and from them.

Names are imported when they are first used: verifying a signature needs no HTTP client.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oxcart.webhooks.addresses import AddressPolicy
    from oxcart.webhooks.client import WebhookClient
    from oxcart.webhooks.endpoints import Endpoint, Endpoints, parse_endpoints
    from oxcart.webhooks.errors import (
        AddressRefused,
        DeliveryNotFound,
        SignatureInvalid,
        WebhookError,
    )
    from oxcart.webhooks.jobs import DeliveryJobs
    from oxcart.webhooks.outbox import WebhookEvent, WebhookOutbox
    from oxcart.webhooks.records import Attempt, Delivery, DeliveryRecords
    from oxcart.webhooks.relay import Relay
    from oxcart.webhooks.schedule import RetrySchedule
    from oxcart.webhooks.service import Webhooks
    from oxcart.webhooks.signatures import SigningSecret
    from oxcart.webhooks.states import DeliveryState

_HOMES = {
    "addresses": "AddressPolicy",
    "client": "WebhookClient",
    "endpoints": "Endpoint Endpoints parse_endpoints",
    "errors": "AddressRefused DeliveryNotFound SignatureInvalid WebhookError",
    "jobs": "DeliveryJobs",
    "outbox": "WebhookEvent WebhookOutbox",
    "records": "Attempt Delivery DeliveryRecords",
    "relay": "Relay",
    "schedule": "RetrySchedule",
    "service": "Webhooks",
    "signatures": "SigningSecret",
    "states": "DeliveryState",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "AddressPolicy",
    "AddressRefused",
    "Attempt",
    "Delivery",
    "DeliveryJobs",
    "DeliveryNotFound",
    "DeliveryRecords",
    "DeliveryState",
    "Endpoint",
    "Endpoints",
    "Relay",
    "RetrySchedule",
    "SignatureInvalid",
    "SigningSecret",
    "WebhookClient",
    "WebhookError",
    "WebhookEvent",
    "WebhookOutbox",
    "Webhooks",
    "parse_endpoints",
]


def __getattr__(name: str) -> object:
    """Import a name of the package when it is first used."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
