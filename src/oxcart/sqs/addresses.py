"""Where the queues are in SQS, as the settings say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from oxcart._model.ids import check_queue_name
from oxcart.errors import ConfigError

QUEUES_VARIABLE = "OXCART_SQS_QUEUES"
DEAD_LETTERS_VARIABLE = "OXCART_SQS_DEAD_LETTER_QUEUES"
_FIFO = ".fifo"


@dataclass(frozen=True, slots=True, kw_only=True)
class SqsAddress:
    """A queue in SQS.

    Attributes:
        queue: its name in this program.
        url: its URL in SQS.
        dead_letter_url: the URL of the queue that takes its failed jobs; needed where jobs run.
    """

    queue: str
    url: str
    dead_letter_url: str | None = None

    def __post_init__(self) -> None:
        """Check the names.

        Raises:
            ConfigError: naming what is wrong.
        """
        check_queue_name(self.queue)
        for url in (self.url, self.dead_letter_url):
            parts = urlsplit(url or self.url)
            if parts.scheme not in ("http", "https") or not sqs_name(url or self.url):
                raise ConfigError(
                    f"{QUEUES_VARIABLE} has {url!r} for {self.queue!r}, which is no URL of an SQS "
                    "queue, such as https://sqs.eu-central-1.amazonaws.com/123456789012/email"
                )
        if self.dead_letter_url and self.is_fifo != self.dead_letter_url.endswith(_FIFO):
            raise ConfigError(
                f"queue {self.queue!r} and its dead-letter queue must both be FIFO, or neither: "
                f"they are {self.sqs_name!r} and {sqs_name(self.dead_letter_url)!r}"
            )

    @property
    def sqs_name(self) -> str:
        """Its name in SQS."""
        return sqs_name(self.url)

    @property
    def is_fifo(self) -> bool:
        """Whether it keeps the order of its jobs."""
        return self.url.endswith(_FIFO)


def sqs_name(url: str) -> str:
    """The name of a queue in SQS, by its URL."""
    return urlsplit(url).path.rpartition("/")[2]


def parse_addresses(
    queues: Sequence[str], dead_letter_queues: Sequence[str] = ()
) -> dict[str, SqsAddress]:
    """Read the settings ``OXCART_SQS_QUEUES`` and ``OXCART_SQS_DEAD_LETTER_QUEUES``.

    Args:
        queues: each ``name=url``.
        dead_letter_queues: the same.

    Returns:
        The queues by their names in this program.

    Raises:
        ConfigError: naming the variable and what is wrong with it.
    """
    urls = _pairs(QUEUES_VARIABLE, queues)
    dead_letters = _pairs(DEAD_LETTERS_VARIABLE, dead_letter_queues)
    unknown = sorted(dead_letters.keys() - urls.keys())
    if unknown:
        raise ConfigError(
            f"{DEAD_LETTERS_VARIABLE} names queues that {QUEUES_VARIABLE} does not: "
            f"{', '.join(unknown)}"
        )
    if not urls:
        raise ConfigError(
            f"{QUEUES_VARIABLE} is not set, and OXCART_BROKER is sqs: it wants each queue's URL, "
            "as email=https://…,export=https://…"
        )
    return {
        queue: SqsAddress(queue=queue, url=url, dead_letter_url=dead_letters.get(queue))
        for queue, url in urls.items()
    }


def _pairs(variable: str, items: Sequence[str]) -> Mapping[str, str]:
    pairs: dict[str, str] = {}
    for item in items:
        queue, separator, url = (part.strip() for part in item.partition("="))
        if not (queue and separator and url):
            raise ConfigError(f"{variable} has {item!r}; it wants name=url, separated by commas")
        if queue in pairs:
            raise ConfigError(f"{variable} names queue {queue!r} twice")
        pairs[queue] = url
    return pairs
