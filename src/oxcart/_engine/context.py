"""What a handler can ask and do about the job it is running."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, TypeVar

from oxcart._engine.hold import Hold
from oxcart._model.clock import ServerClock
from oxcart._model.flow import Dependencies
from oxcart._model.job import JobRecord, JobSpec
from oxcart._model.json import JsonValue
from oxcart._model.links import ParentRef
from oxcart._model.options import job_options
from oxcart._store.calls import details, flows
from oxcart._store.calls.adding import add_jobs, encode_job
from oxcart._store.store import Store
from oxcart._wire.codec import encode_json
from oxcart._wire.codes import error_of
from oxcart._wire.keys import QueueKeys
from oxcart.errors import ConfigError, PayloadError, StoreTimeout

T = TypeVar("T")

WAIT_S = 30
"""How long a handler's thread waits for the event loop."""

_current: ContextVar[JobContext] = ContextVar("oxcart_job")


class JobContext:
    """The job that a handler is running.

    Attributes:
        record: the job as it was taken.
        queue: its queue's name.
        payload_error: what was raised because the payload does not fit the handler, which then was
            not called.
    """

    payload_error: PayloadError | None = None

    def __init__(self, record: JobRecord, store: Store, keys: QueueKeys, hold: Hold) -> None:
        self.record = record
        self.queue = keys.queue
        self._store = store
        self._keys = keys
        self._hold = hold
        self._loop = asyncio.get_running_loop()

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self.record.id

    @property
    def name(self) -> str:
        """The job's name."""
        return self.record.name

    @property
    def data(self) -> JsonValue:
        """The job's payload."""
        return self.record.data

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self.record.attempts_made + 1

    @property
    def max_attempts(self) -> int:
        """How often the job is run before it has failed."""
        return self.record.options.max_attempts

    @property
    def sync(self) -> SyncJobContext:
        """The same for handlers that are plain functions."""
        return SyncJobContext(self, self._loop)

    def ensure_lock(self) -> None:
        """Check that the job is still ours; call it before a side effect.

        Raises:
            LockLost: it is not: another worker may be running it.
        """
        self._hold.ensure()

    async def progress(self, value: JsonValue) -> None:
        """Report progress: a number, or any JSON. It is kept with the job and emitted."""
        self._hold.ensure()
        encoded = encode_json(value, what=f"the progress of job {self.job_id!r}")
        code = await self._store.run(details.update_progress(self._keys, self.job_id, encoded))
        self._check(code)

    async def log(self, row: str) -> None:
        """Append a row to the job's own log."""
        self._hold.ensure()
        keep = self.record.options.log_limit
        self._check(await self._store.run(details.add_log(self._keys, self.job_id, row, keep=keep)))

    async def update_data(self, data: JsonValue) -> None:
        """Replace the job's data: what the next attempt, or the next step of this one, starts from.

        ``data`` gives the new one from then on.
        """
        self._hold.ensure()
        encoded = encode_json(data, what=f"the data of job {self.job_id!r}")
        self._check(await self._store.run(details.update_data(self._keys, self.job_id, encoded)))
        self.record = replace(self.record, data=data)

    async def add_child(
        self, queue: str, name: str, data: JsonValue | None = None, **options: Any
    ) -> str:
        """Add a child of this job; raise ``WaitForChildren`` to run again when it is settled.

        Give it a ``job_id``: an attempt that is made again then finds it there.

        Args:
            queue: the child's queue.
            name: which handler runs it.
            data: the payload; nothing means ``{}``.
            **options: see ``JobOptions``.

        Returns:
            The child's id.

        Raises:
            ParentConflict: a job of this id is the child of another parent.
        """
        self._hold.ensure()
        parent = ParentRef(queue=self.queue, id=self.job_id, prefix=self._keys.prefix)
        given = job_options(**options, parent=parent)
        spec = JobSpec(name=name, data={} if data is None else data, options=given)
        keys = QueueKeys(self._keys.prefix, queue)
        job = encode_job(spec, prefix=keys.prefix)
        clock = ServerClock()
        added = await self._store.run(add_jobs(keys, [job], clock=clock, nonce=uuid.uuid4().hex))
        if added[0].status < 0:
            code = added[0].status
            raise error_of(code, job_id=added[0].job_id, queue=queue, expected="free")
        return added[0].job_id

    async def children_values(self) -> dict[str, JsonValue]:
        """What the job's completed children returned, by their full keys (prefix:queue:id)."""
        return await self._store.run(flows.get_children_values(self._keys, self.job_id))

    async def ignored_children_failures(self) -> dict[str, str]:
        """Why children failed whose failure the job ignores, by their full keys."""
        return await self._store.run(flows.get_ignored_failures(self._keys, self.job_id))

    async def remove_unprocessed_children(self) -> int:
        """Remove the job's children that are pending and not being run; gives how many.

        For a parent that went on without them (``parent_on_failure="continue"``): it cannot
        complete while they are pending.
        """
        self._hold.ensure()
        total, cursor = 0, "0"
        while True:
            call = flows.remove_unprocessed_children(self._keys, self.job_id, cursor)
            following, removed = await self._store.run(call)
            total += removed
            if following is None:
                return total
            cursor = following

    async def dependencies(self) -> Dependencies:
        """All children of the job, by how they stand."""
        calls = flows.get_dependencies(self._keys, self.job_id)
        return flows.dependencies_of(await self._store.run_all(calls))

    def _check(self, code: int) -> None:
        if code < 0:
            raise error_of(code, job_id=self.job_id, queue=self.queue, expected="present")


class SyncJobContext:
    """The blocking twin of ``JobContext``, for handlers that run in a thread."""

    def __init__(self, context: JobContext, loop: asyncio.AbstractEventLoop) -> None:
        self._context = context
        self._loop = loop

    def progress(self, value: JsonValue) -> None:
        """Report progress; see ``JobContext.progress``."""
        self._wait(self._context.progress(value))

    def log(self, row: str) -> None:
        """Append a row to the job's own log."""
        self._wait(self._context.log(row))

    def update_data(self, data: JsonValue) -> None:
        """Replace the job's data; see ``JobContext.update_data``."""
        self._wait(self._context.update_data(data))

    def add_child(
        self, queue: str, name: str, data: JsonValue | None = None, **options: Any
    ) -> str:
        """Add a child of this job; see ``JobContext.add_child``."""
        return self._wait(self._context.add_child(queue, name, data, **options))

    def children_values(self) -> dict[str, JsonValue]:
        """What the job's completed children returned; see ``JobContext.children_values``."""
        return self._wait(self._context.children_values())

    def ignored_children_failures(self) -> dict[str, str]:
        """Why children failed whose failure the job ignores, by their full keys."""
        return self._wait(self._context.ignored_children_failures())

    def remove_unprocessed_children(self) -> int:
        """Remove the job's pending children; see ``JobContext.remove_unprocessed_children``."""
        return self._wait(self._context.remove_unprocessed_children())

    def dependencies(self) -> Dependencies:
        """All children of the job, by how they stand."""
        return self._wait(self._context.dependencies())

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        waiting = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return waiting.result(WAIT_S)
        except TimeoutError as error:
            waiting.cancel()
            # The worker's loop is blocked, or has ended and left this thread behind.
            raise StoreTimeout(f"the worker's event loop did not answer in {WAIT_S} s") from error


def current_job() -> JobContext:
    """The job that the calling handler is running.

    A hook of ``on_failure`` gets the job that failed. It can be read there; what would write to
    it raises ``LockLost``, as the job has ended.

    Raises:
        ConfigError: neither a handler nor such a hook is running here.
    """
    try:
        return _current.get()
    except LookupError:
        raise ConfigError("current_job() was called outside a handler") from None


def set_current(context: JobContext) -> None:
    """Make a job the current one, for the running task and the threads it starts."""
    _current.set(context)


def job_in(task: asyncio.Task[object]) -> JobContext | None:
    """Return the job that is current in another task; ``None`` on Python 3.11, which hides it."""
    get_context = getattr(task, "get_context", None)
    return None if get_context is None else get_context().get(_current)
