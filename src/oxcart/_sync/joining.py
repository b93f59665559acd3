"""Sending single adds from blocking code."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

from oxcart._store.calls.adding import Added, EncodedJob


class Adder:
    """Sends single jobs, each in a call of its own: threads have no loop that could join them.

    Args:
        send: sends jobs under a nonce and gives a result each.
    """

    def __init__(self, send: Callable[[str, Sequence[EncodedJob]], list[Added]]) -> None:
        self._send = send

    def submit(self, job: EncodedJob) -> Added:
        """Send a job."""
        return self._send(uuid.uuid4().hex, [job])[0]
