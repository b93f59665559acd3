"""Webhooks by the Standard Webhooks specification: signed messages to endpoints, and from them."""

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
