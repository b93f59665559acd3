"""Adding jobs: one by one, joined with concurrent callers, or in batches."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from oxcart._model.clock import Clock
from oxcart._model.duration import Duration, to_ms
from oxcart._model.job import JobSpec, check_spec, made_of
from oxcart._model.json import JsonValue
from oxcart._model.options import job_options
from oxcart._queue.base import QueueBase
from oxcart._queue.joining import Adder
from oxcart._queue.sending import BATCH, check_added, values_of
from oxcart._store.call import Call
from oxcart._store.calls.adding import (
    Added,
    EncodedJob,
    add_job_before,
    add_jobs,
    encode_job,
    read_added,
)
from oxcart._store.slots import check_slots
from oxcart._store.store import Store
from oxcart._wire.keys import QueueKeys
from oxcart.errors import ConfigError, OxcartError, StoreTimeout
from oxcart.job import Job


class QueueAdds(QueueBase):
    """Adding jobs to a queue."""

    def __init__(
        self, store: Store, keys: QueueKeys, clock: Clock, *, events_length: int | None = None
    ) -> None:
        super().__init__(store, keys, clock, events_length=events_length)
        self._adder = Adder(self._send)
        self._ahead_ms: float | None = None

    async def add(self, name: str, data: JsonValue | None = None, **options: Any) -> Job[JsonValue]:
        """Add a job.

        Concurrent calls are joined into batches: the first goes out at once, those that come
        meanwhile go out together.

        Args:
            name: which handler runs it.
            data: the payload: anything JSON can hold; nothing means ``{}``.
            **options: see ``JobOptions``.

        Returns:
            The job. With a ``job_id`` that is in the queue already, or a deduplication id that
            another job holds, nothing is added, ``is_new`` is false and ``id`` that job's.

        Raises:
            ConfigError: an option is wrong.
            PayloadError: JSON cannot hold the data, or it is over the size limit.
            ParentNotFound: its parent is not there; nothing was added.
            ParentConflict: a job of this id is the child of another parent; nothing was changed.
            StoreUnavailable: the server cannot be reached; whether the job was added is not known
                if the connection broke after sending.
        """
        spec = JobSpec(name=name, data={} if data is None else data, options=job_options(**options))
        return await self.add_spec(spec)

    async def add_spec(self, spec: JobSpec) -> Job[JsonValue]:
        """Add a job given as one value; see ``add``."""
        added = await self._adder.submit(self._encode(spec))
        return self._job_of(spec, added)

    async def add_spec_within(
        self, spec: JobSpec, within: Duration | None = None
    ) -> Job[JsonValue]:
        """Add a job that has a ``job_id``, or nothing if the server gets to it too late.

        For callers that do without the queue when it does not answer: after a ``StoreTimeout`` of
        ``add_spec`` the job may be added nevertheless, when a server that stood still goes on. Here
        the server adds nothing later than ``within`` after the call.

        It cannot be known whether the job was added if the server stops, or the connection breaks,
        between adding the job and its reply. Calls are not joined with those of other callers.

        Args:
            spec: the job.
            within: how long after the call the server may add it; default: half of the time for
                which a command waits for the server, so that the reply can arrive.

        Returns:
            The job; see ``add``.

        Raises:
            ConfigError: the job has no ``job_id``.
            StoreTimeout: the server got to it too late, or did not answer; see above.
            StoreUnavailable: the server cannot be reached.
        """
        if spec.options.job_id is None:
            raise ConfigError(f"job {spec.name!r} has no job_id; add_spec_within needs one")
        encoded = self._encode(spec)
        if within is None:
            within_ms = to_ms(self._store.timeouts.command, what="command time-out") // 2
        else:
            within_ms = to_ms(within, what="within")
        began_at = time.monotonic()
        if self._ahead_ms is None:
            self._note_server_time(await self._now_ms())
        added: Added | int = 0
        # The second time for a server whose clock was set since its time was read.
        for _ in range(2):
            before_ms = round(began_at * 1_000 + (self._ahead_ms or 0.0)) + within_ms
            call = add_job_before(self._keys, encoded, clock=self._clock, before_ms=before_ms)
            added = await self._write(call)
            self._note_server_time(added if isinstance(added, int) else added.added_at_ms)
            if isinstance(added, Added):
                return self._job_of(spec, added)
            if time.monotonic() - began_at > within_ms / 1_000:
                break
        raise StoreTimeout(
            f"add: the server got to job {spec.options.job_id!r} later than {within_ms} ms after "
            "the call; it was not added"
        )

    def _note_server_time(self, now_ms: int) -> None:
        """Note by how much the server's clock is ahead of our monotonic one, rather too little."""
        self._ahead_ms = now_ms - time.monotonic() * 1_000

    async def add_many(self, specs: Sequence[JobSpec]) -> list[Job[JsonValue]]:
        """Add many jobs, in order.

        Up to 1,000 are added atomically in one call, then the next 1,000. All are checked before
        the first is sent.

        Returns:
            The jobs, in the same order; see ``add``.

        Raises:
            ConfigError: as ``add``.
            PayloadError: as ``add``; then none was added.
            ParentNotFound: as ``add``; those without this fault were added.
            ParentConflict: the same.
            StoreUnavailable: as ``add``; some batches were added.
        """
        if isinstance(specs, JobSpec):
            raise ConfigError("add_many takes a list of JobSpec; add_spec takes one")
        specs = list(specs)  # not every sequence can be sliced
        encoded = [self._encode(spec) for spec in specs]
        if not self._is_open:
            await self.open()
        chunks = [slice(start, start + BATCH) for start in range(0, len(specs), BATCH)]
        calls = [self._add_call(specs[chunk], encoded[chunk]) for chunk in chunks]
        results = [result for chunk in await self._store.run_in_order(calls) for result in chunk]
        # Only now: those after one that was refused are added all the same.
        for result in results:
            if isinstance(result, OxcartError):
                raise result
        return cast("list[Job[JsonValue]]", results)

    def _add_call(
        self, specs: Sequence[JobSpec], encoded: Sequence[EncodedJob]
    ) -> Call[list[Job[JsonValue] | OxcartError]]:
        """The call that adds a chunk, and reads its reply as jobs, or why they were refused."""
        call = add_jobs(self._keys, encoded, clock=self._clock, nonce=uuid.uuid4().hex)

        def read(reply: Any) -> list[Job[JsonValue] | OxcartError]:
            return [
                self._job_or_refusal(spec, added)
                for spec, added in zip(specs, read_added(reply, len(specs)), strict=True)
            ]

        return replace(call, read=read)  # type: ignore[arg-type,return-value]  # of another type

    def _job_or_refusal(self, spec: JobSpec, added: Added) -> Job[JsonValue] | OxcartError:
        try:
            return self._job_of(spec, added)
        except OxcartError as refusal:
            return refusal

    async def _send(self, nonce: str, jobs: Sequence[EncodedJob]) -> list[Added]:
        return await self._write(add_jobs(self._keys, jobs, clock=self._clock, nonce=nonce))

    def _encode(self, spec: JobSpec) -> EncodedJob:
        try:
            parent = spec.options.parent
            if parent is not None:
                parents_queue = QueueKeys(parent.prefix or self._keys.prefix, parent.queue)
                check_slots(self._store.location, self._keys, parents_queue)
            return encode_job(spec, prefix=self._keys.prefix)
        except AttributeError:
            check_spec(spec)
            raise

    def _job_of(self, spec: JobSpec, added: Added) -> Job[JsonValue]:
        check_added(spec, added, self._keys)
        values = values_of(spec, added)
        values["queue"] = self._keys.queue
        values["source"] = self._as_source()
        values["is_new"] = added.is_new
        return made_of(Job, values)
