"""The same queues, flows and events for blocking code: Django, Flask, scripts and threads.

Everything is named as in ``oxcart``, but for ``aclose``, which is ``close``, and ``async with``,
which is ``with``. ``App.sync_queue`` and ``JobDefinition.enqueue_sync`` lead here.
"""

from oxcart._sync.events import QueueEvents
from oxcart._sync.flow import FlowJob, FlowProducer
from oxcart._sync.job import Job
from oxcart._sync.queue import Queue

__all__ = ["FlowJob", "FlowProducer", "Job", "Queue", "QueueEvents"]
