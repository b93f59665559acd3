"""The tables of webhooks: messages, their deliveries, the attempts, ids that were received."""

from oxcart.database.tables import webhook_attempt as attempt
from oxcart.database.tables import webhook_cursor as cursor
from oxcart.database.tables import webhook_delivery as delivery
from oxcart.database.tables import webhook_message as message
from oxcart.database.tables import webhook_received as received

__all__ = ["attempt", "cursor", "delivery", "message", "received"]
