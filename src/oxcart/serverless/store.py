"""Stands where a running job expects Redis: what it reports goes to the log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, TypeVar

from oxcart._store.call import Call
from oxcart.sqs.stores import NoStore

T = TypeVar("T")

log = logging.getLogger("oxcart.serverless")

COURTESIES = ("update_progress", "add_log")
"""Calls by which a handler tells how it goes; it does not depend on who listens."""


class LogStore(NoStore):
    """Takes note of progress, and refuses what a job in SQS cannot have: children, new data."""

    async def run(self, call: Call[T]) -> T:
        """Take note of a report; refuse any other call."""
        if call.name not in COURTESIES:
            return await super().run(call)
        if call.name == "add_log":
            log.info("job.log %s", _text(call.args[0]))
        else:
            log.debug("job.progress job_id=%s progress=%s", call.args[0], _text(call.args[1]))
        return call.read(1)

    async def run_all(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """Refuse calls, as ``run``."""
        return [await self.run(call) for call in calls]


def _text(word: object) -> str:
    return word.decode(errors="replace") if isinstance(word, bytes) else str(word)
