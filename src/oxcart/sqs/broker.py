"""What an application sends its jobs by when they go to SQS."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from oxcart import sync
from oxcart._engine.environment import prefix_or_default
from oxcart.errors import ConfigError
from oxcart.queue import Queue
from oxcart.settings import Settings
from oxcart.sqs.addresses import QUEUES_VARIABLE, SqsAddress, parse_addresses
from oxcart.sqs.client import SqsClient
from oxcart.sqs.end import Lookup, SqsEnd
from oxcart.sqs.groups import group_by_person, one_group
from oxcart.sqs.outgoing import GroupOf
from oxcart.sqs.queues import SqsQueue, SyncSqsQueue

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient


class SqsBroker:
    """Queues in SQS, for ``App(broker=...)``.

    ::

        broker = SqsBroker(parse_addresses(["images=https://sqs…/images"]))
        app = App(broker=broker)

    Args:
        addresses: the queues.
        prefix: kept with jobs as their queue's; without it ``OXCART_PREFIX``, else ``bull``.
        group_of: tells the groups in which FIFO queues keep the order; without it a queue is one
            group.
        client: an open client of boto3; without it one is made at the first call, by the usual
            ``AWS_*`` variables.

    Attributes:
        addresses: the queues by name.
        prefix: see above.
        client: calls SQS.
    """

    def __init__(
        self,
        addresses: Mapping[str, SqsAddress],
        *,
        prefix: str | None = None,
        group_of: GroupOf = one_group,
        client: SQSClient | None = None,
    ) -> None:
        if not addresses:
            raise ConfigError(f"there is no queue in SQS; {QUEUES_VARIABLE} names them")
        self.addresses = dict(addresses)
        first = next(iter(self.addresses.values()))
        self.client = SqsClient(first.url, client=client)
        self.prefix = prefix_or_default(prefix)
        self._group_of = group_of
        self._lookups: dict[str, Lookup] = {}
        self._queues: dict[str, SqsQueue] = {}
        self._sync_queues: dict[str, SyncSqsQueue] = {}
        self._guard = threading.Lock()

    def look_up(self, queue: str, lookup: Lookup) -> None:
        """Say how jobs of a queue are found, which SQS cannot; before the queue is first used."""
        self._lookups[queue] = lookup

    def queue(self, name: str) -> Queue:
        """The queue of a name: the same object each time.

        Raises:
            ConfigError: there is no such queue in SQS.
        """
        with self._guard:
            if name not in self._queues:
                self._queues[name] = SqsQueue(self._end(name), self._lookups.get(name))
            return self._queues[name]

    def sync_queue(self, name: str) -> sync.Queue:
        """The queue of a name for blocking code: the same object each time.

        Raises:
            ConfigError: there is no such queue in SQS.
        """
        with self._guard:
            if name not in self._sync_queues:
                self._sync_queues[name] = SyncSqsQueue(self._end(name))
            return self._sync_queues[name]

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _end(self, name: str) -> SqsEnd:
        address = self.addresses.get(name)
        if address is None:
            raise ConfigError(
                f"queue {name!r} is not in SQS: {QUEUES_VARIABLE} has "
                f"{', '.join(sorted(self.addresses))}"
            )
        return SqsEnd(
            address=address, client=self.client, prefix=self.prefix, group_of=self._group_of
        )


def broker_from_env(
    environ: Mapping[str, str] | None = None, *, group_of: GroupOf = one_group
) -> SqsBroker | None:
    """The broker that the environment asks for; ``None`` unless ``OXCART_BROKER`` is ``sqs``.

    ::

        app = App(broker=broker_from_env())

    Args:
        environ: variables to read instead of ``os.environ``.
        group_of: see ``SqsBroker``.

    Raises:
        ConfigError: a variable is wrong or missing.
    """
    return _broker_of(Settings.from_env(environ), group_of)


def built_in_broker(settings: Settings) -> SqsBroker | None:
    """The broker of the built-in e-mails and exports; ``None`` unless the settings ask for SQS.

    Raises:
        ConfigError: the settings name no queue in SQS, or a URL is none.
    """
    return _broker_of(settings, group_by_person)


def _broker_of(settings: Settings, group_of: GroupOf) -> SqsBroker | None:
    if settings.broker == "redis":
        return None
    addresses = parse_addresses(settings.sqs_queues, settings.sqs_dead_letter_queues)
    return SqsBroker(addresses, prefix=settings.prefix, group_of=group_of)
