"""The facts of the fleet as Prometheus reads them, with those of this process beside them.

Names follow Prometheus' conventions: base units, ``_total`` for what only grows. A fact that could
not be found is left out rather than shown as 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from oxcart import JobState, __version__

if TYPE_CHECKING:
    from oxcart.observe.fleet import FleetFacts

_FINISHED = {
    JobState.COMPLETED: ("oxcart_queue_jobs_completed", "Jobs that completed."),
    JobState.FAILED: ("oxcart_queue_jobs_failed", "Jobs that failed for good."),
}
_DATABASE_UP = "Whether the database answered."


class Exposition:
    """Writes facts down in the form that a monitor asks for."""

    def __init__(self) -> None:
        # A registry of our own: the library's global one holds whatever this program's other
        # parts have put there.
        self._process = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._process)
        PlatformCollector(registry=self._process)
        GCCollector(registry=self._process)

    def write(self, facts: FleetFacts, accept: str) -> tuple[bytes, str]:
        """Write facts down.

        Args:
            facts: what was found.
            accept: the request's ``Accept``; OpenMetrics or Prometheus' own text.

        Returns:
            The text, and its media type.
        """
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Found(facts, self._process))
        encode, media_type = choose_encoder(accept)
        return encode(registry), media_type


class _Found(Collector):
    """What was found, as families of samples."""

    def __init__(self, facts: FleetFacts, process: Collector) -> None:
        self._facts = facts
        self._process = process

    def collect(self) -> Iterator[Metric]:
        facts = self._facts
        yield _labelled("oxcart_build_info", "The version.", "version", {__version__: 1})
        where = f"oxcart_{facts.broker}_up"
        yield GaugeMetricFamily(where, "Whether it answered.", value=facts.is_broker_up)
        yield GaugeMetricFamily("oxcart_database_up", _DATABASE_UP, value=facts.is_database_up)
        if facts.queues:
            yield from _of_queues(facts)
        if facts.workers:
            text = "Connected workers, in whatever language they are written."
            yield _labelled("oxcart_queue_workers", text, "queue", facts.workers)
        if facts.paused_workers:
            text = "Workers that take no jobs of the queue for now."
            paused = facts.paused_workers
            yield _labelled("oxcart_queue_workers_paused", text, "queue", paused)
        if facts.exports:
            yield _labelled("oxcart_exports", "Exports in the database.", "status", facts.exports)
        yield from self._process.collect()


def _of_queues(facts: FleetFacts) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("oxcart_queue_jobs", "Jobs.", labels=("queue", "state"))
    for queue, figures in facts.queues.items():
        for state, count in figures.counts.items():
            jobs.add_metric((queue, state.value), count)
    yield jobs
    if facts.broker != "redis":
        return
    paused = {queue: figures.is_paused for queue, figures in facts.queues.items()}
    yield _labelled("oxcart_queue_paused", "Whether no job is taken.", "queue", paused)
    ages = {
        queue: (figures.oldest_waiting_ms or 0) / 1_000 for queue, figures in facts.queues.items()
    }
    text = "For how long the oldest job that is ready to run has been so; 0 if there is none."
    yield _labelled("oxcart_queue_oldest_waiting_seconds", text, "queue", ages)
    unknown = {queue: figures.unknown_count for queue, figures in facts.queues.items()}
    text = "Jobs that workers put back lately because their name or payload is unknown to them."
    yield _labelled("oxcart_queue_jobs_unknown", text, "queue", unknown)
    for state, (name, text) in _FINISHED.items():
        total = CounterMetricFamily(name, text, labels=("queue",))
        for queue, figures in facts.queues.items():
            if state in figures.finished_counts:
                total.add_metric((queue,), figures.finished_counts[state])
        yield total


def _labelled(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=(label,))
    for value, number in values.items():
        family.add_metric((value,), number)
    return family
