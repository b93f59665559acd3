"""Builds the values that mail tests start from, with defaults."""

from __future__ import annotations

from typing import cast

from oxcart import JsonValue
from oxcart.mail import payloads
from oxcart.mail.letterhead import Letterhead
from oxcart.mail.payloads import EmailPayload


def make_letterhead(**changes: str) -> Letterhead:
    values = {
        "app_name": "Cofactor Club",
        "app_url": "https://cofactor.example",
        "sender": '"Cofactor Club" <no-reply@cofactor.world>',
    }
    values |= changes
    return Letterhead(
        app_name=values["app_name"], app_url=values["app_url"], sender=values["sender"]
    )


def make_payloads() -> list[EmailPayload]:
    """One payload of each type."""
    return [
        payloads.welcome("ada@example.com", "Ada"),
        payloads.verification("ada@example.com", "Ada", "token-1"),
        payloads.password_reset("ada@example.com", "483920"),
        payloads.notification("ada@example.com", "Ada", "A reply", "Bob replied.", "/wiki/1"),
    ]


def make_wire_data(name: str) -> dict[str, JsonValue]:
    """The data of a job as the Node site adds it."""
    metadata: dict[str, JsonValue] = {
        "welcome": None,
        "verification": {"token": "token-1"},
        "password_reset": {"resetCode": "483920"},
        "notification": {"title": "A reply", "message": "Bob replied."},
    }
    data: dict[str, JsonValue] = {"type": name, "toEmail": "ada@example.com", "name": "Ada"}
    if metadata[name] is not None:
        data["metadata"] = metadata[name]
    return data


def metadata_of(data: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return cast("dict[str, JsonValue]", data["metadata"])
