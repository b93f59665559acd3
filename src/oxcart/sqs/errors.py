"""What goes wrong with queues in SQS, besides what goes wrong with any queue.

::

    ConfigError
    └── NotInSqs      the caller: SQS has no such thing
    StoreError
    └── NotAllSent    the operator: SQS took some jobs of a batch and not the others
"""

from __future__ import annotations

from collections.abc import Mapping

from oxcart.errors import ConfigError, StoreError

SHOWN = 3


class NotInSqs(ConfigError):
    """SQS cannot do what was asked of a queue; nothing was changed."""


class NotAllSent(StoreError):
    """SQS took some jobs of a batch and not the others.

    Attributes:
        queue: the queue.
        sent_count: how many were sent, and stay so.
        failures: why each of the others was not, by its place in the batch.
    """

    def __init__(self, *, queue: str, sent_count: int, failures: Mapping[int, Exception]) -> None:
        shown = "; ".join(f"number {at}: {error}" for at, error in [*failures.items()][:SHOWN])
        more = f"; and {len(failures) - SHOWN} more" if len(failures) > SHOWN else ""
        super().__init__(
            f"{len(failures)} of {sent_count + len(failures)} jobs were not sent to queue "
            f"{queue!r}, the others were: {shown}{more}"
        )
        self.queue = queue
        self.sent_count = sent_count
        self.failures = dict(failures)
