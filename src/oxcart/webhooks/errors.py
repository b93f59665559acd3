"""Errors of webhooks."""

from __future__ import annotations

from oxcart.errors import OxcartError


class WebhookError(OxcartError):
    """Base of the errors of webhooks."""


class SignatureInvalid(WebhookError):
    """A request has no valid signature of the Standard Webhooks specification.

    The text names the header that is wrong; it never repeats a signature or a secret.
    """


class AddressRefused(WebhookError):
    """A webhook's URL leads to an address that webhooks may not be sent to.

    Attributes:
        host: the host of the URL.
        reason: what kind of address it is.
    """

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"{host} is refused as a receiver of webhooks: {reason}")
        self.host = host
        self.reason = reason


class MessageBusy(WebhookError):
    """Another copy of a message is being acted upon at this moment; it may come again later.

    Attributes:
        message_id: the message's id.
    """

    def __init__(self, message_id: str) -> None:
        super().__init__(f"the message {message_id!r} is being acted upon; send it again later")
        self.message_id = message_id


class DeliveryNotFound(WebhookError):
    """There is no delivery with this id.

    Attributes:
        delivery_id: the id.
    """

    def __init__(self, delivery_id: str) -> None:
        super().__init__(f"there is no webhook delivery with the id {delivery_id!r}")
        self.delivery_id = delivery_id
