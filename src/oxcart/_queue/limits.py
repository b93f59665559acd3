"""A queue's limits: how many of its jobs run at a time, how many start in a time, which are one."""

from __future__ import annotations

from oxcart._model.duration import Duration, to_ms
from oxcart._model.links import RateLimit
from oxcart._model.states import JobState
from oxcart._queue.base import QueueBase
from oxcart._store.calls import limits, reading, watching
from oxcart.errors import ConfigError


class QueueLimits(QueueBase):
    """The limits of a queue, which hold for every worker in the fleet."""

    async def set_concurrency(self, concurrency: int | None) -> bool:
        """Set how many jobs run at a time in the whole fleet; ``None`` removes the limit.

        Returns:
            Whether there was a limit before.

        Raises:
            ConfigError: it is less than 1.
        """
        if concurrency is not None and concurrency < 1:
            raise ConfigError(f"concurrency is {concurrency}; it must be 1 or more")
        return await self._write(limits.set_concurrency(self._keys, concurrency))

    async def get_concurrency(self) -> int | None:
        """How many jobs may run at a time in the whole fleet; ``None`` without a limit."""
        return (await self._store.run(watching.get_meta(self._keys))).concurrency

    async def is_maxed(self) -> bool:
        """Whether as many jobs run as the queue's concurrency allows."""
        concurrency = await self.get_concurrency()
        active = await self._store.run(reading.count_state(self._keys, JobState.ACTIVE))
        return concurrency is not None and active >= concurrency

    async def set_rate_limit(self, limit: RateLimit | None) -> bool:
        """Set how many jobs are started in a time in the whole fleet; ``None`` removes the limit.

        It goes before the workers' own ``limiter`` as to how many, not as to the window.

        Returns:
            Whether there was a limit before.
        """
        return await self._write(limits.set_rate_limit(self._keys, limit))

    async def get_rate_limit(self) -> RateLimit | None:
        """The queue's own rate limit."""
        meta = await self._store.run(watching.get_meta(self._keys))
        if not meta.rate_max or not meta.rate_ms:
            return None
        return RateLimit(max=meta.rate_max, per=f"{meta.rate_ms}ms")

    async def rate_limit(self, duration: Duration) -> None:
        """Take no job for a time.

        Every oxcart worker holds to it; BullMQ's workers only if they know a rate limit, of their
        own or of the queue.
        """
        await self._write(limits.limit_manually(self._keys, to_ms(duration, what="duration")))

    async def remove_rate_limit(self) -> bool:
        """End the current rate window, or what ``rate_limit`` set; whether there was one."""
        return await self._write(limits.lift_rate_limit(self._keys))

    async def get_rate_limit_ttl(self, *, max: int | None = None) -> int:
        """For how long jobs are held back, in ms.

        Args:
            max: count the limit as reached at this many jobs; default: the queue's own.

        Returns:
            The time left. Without any maximum: the window's, reached or not, or a negative number
            if none is open.
        """
        most = max or (await self._store.run(watching.get_meta(self._keys))).rate_max
        started, left_ms = await self._store.run_all(limits.read_window(self._keys))
        if most is None:
            return int(left_ms)
        return int(left_ms) if started >= most else 0

    async def count_use(self, name: str, use: str, limit: RateLimit) -> float | None:
        """Count one use of a name, unless it was used as often as it may be in the time before.

        For limits by customer, recipient or address, over all workers: the handler counts the use
        under its job's id before it acts, so that a further attempt is not counted again.

        Args:
            name: what is limited; kept as a hash.
            use: the use; one that was counted within the window is not counted again.
            limit: how many uses in how long a time; the window moves with the time.

        Returns:
            ``None`` if there was room, else for how many seconds there is none.
        """
        call = limits.count_use(self._keys, name, use, limit, clock=self._clock)
        wait_ms = await self._store.run(call)
        return wait_ms / 1_000 if wait_ms else None

    async def get_deduplication_job_id(self, deduplication_id: str) -> str | None:
        """The id of the job that holds a deduplication id."""
        return await self._store.run(limits.get_deduplication_holder(self._keys, deduplication_id))

    async def remove_deduplication_key(
        self, deduplication_id: str, *, job_id: str | None = None
    ) -> bool:
        """Free a deduplication id, so that a job with it can be added.

        Args:
            deduplication_id: the id.
            job_id: free it only if this job holds it.

        Returns:
            Whether it was held.
        """
        if job_id is None:
            call = limits.free_deduplication_id(self._keys, deduplication_id)
        else:
            call = limits.release_deduplication_id(self._keys, deduplication_id, job_id)
        return await self._write(call)
