"""Defaults of the Node system, which its environment relies on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SMTP_HOST = "smtp.gmail.com"
"""The mail server where only the log-in is set; its port, 587, is the default anyway."""
SENDER = '"Cofactor Club" <no-reply@cofactor.world>'
"""The sender where ``SMTP_FROM`` is not set."""


def lacks_host_alone(values: Mapping[str, Any]) -> bool:
    """Return whether a log-in at a mail server is set, and the server is not."""
    return "smtp_host" not in values and bool(
        values.get("smtp_user") and values.get("smtp_password")
    )
