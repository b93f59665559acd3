"""Changing a queue: single jobs, many jobs, and the queue itself."""

from __future__ import annotations

from datetime import datetime

from oxcart._model.clock import epoch_ms
from oxcart._model.duration import Duration, to_ms
from oxcart._model.json import JsonValue
from oxcart._model.options import MAX_PRIORITY, check_aware, check_range, check_when
from oxcart._model.states import JobState, finished_state, state_of
from oxcart._queue.base import QueueBase
from oxcart._store.calls import details, moving, sweeping, switching
from oxcart._wire.codec import encode_json
from oxcart._wire.codes import Code, error_of
from oxcart._wire.keys import STATE_SUFFIXES
from oxcart.errors import ConfigError, JobLocked, QueueBusy

RETRY_BATCH = 1_000
OBLITERATE_BATCH = 1_000
LAST_MS = 2**41
"""A time that everything is due by; a score of it is still exact."""
NOT_PAUSED, BUSY = -1, -2
"""What obliterating may answer."""


class QueueMoves(QueueBase):
    """Changing a queue and its jobs."""

    async def update_data(self, job_id: str, data: JsonValue) -> None:
        """Replace a job's data.

        Raises:
            JobNotFound: there is no such job.
            PayloadError: JSON cannot hold the data.
        """
        encoded = encode_json(data, what=f"the data of job {job_id!r}")
        await self._change(details.update_data(self._keys, self._check_id(job_id), encoded), job_id)

    async def update_progress(self, job_id: str, progress: JsonValue) -> None:
        """Set a job's progress and emit it. Raises as ``update_data``."""
        encoded = encode_json(progress, what=f"the progress of job {job_id!r}")
        call = details.update_progress(self._keys, self._check_id(job_id), encoded)
        await self._change(call, job_id)

    async def add_log(self, job_id: str, row: str, *, keep: int | None = None) -> int:
        """Append a row to a job's log.

        Args:
            job_id: the job.
            row: the row.
            keep: drop all but the last so many rows.

        Returns:
            How many rows are kept.

        Raises:
            JobNotFound: there is no such job.
        """
        call = details.add_log(self._keys, self._check_id(job_id), row, keep=keep)
        return await self._change(call, job_id)

    async def clear_logs(self, job_id: str, *, keep: int = 0) -> None:
        """Drop all but the last ``keep`` rows of a job's log."""
        await self._write(details.clear_logs(self._keys, self._check_id(job_id), keep=keep))

    async def remove(self, job_id: str, *, with_children: bool = True) -> None:
        """Remove a job, wherever it is; a job that is not there is no error.

        Args:
            job_id: the job.
            with_children: its descendants in flows too.

        Raises:
            JobLocked: a worker is running it, or one of its pending descendants.
            JobNotInState: it is the pending job of a scheduler.
            ConfigError: it has more descendants than one call removes.
        """
        call = moving.remove(self._keys, self._check_id(job_id), with_children=with_children)
        removed = await self._write(call)
        if removed == Code.TOO_MANY:
            raise ConfigError(
                f"job {job_id!r} of queue {self.name!r} has too many descendants for one call; "
                "remove its children first"
            )
        if removed < 0:
            raise error_of(removed, job_id=job_id, queue=self.name, expected="present")
        if not removed:
            raise JobLocked(job_id=job_id, queue=self.name)

    async def promote(self, job_id: str) -> None:
        """Make a delayed job ready now. Raises ``JobNotInState`` if it is not delayed."""
        call = moving.promote(self._keys, self._check_id(job_id))
        await self._change(call, job_id, expected=JobState.DELAYED)

    async def promote_all(self) -> int:
        """Make all delayed jobs ready now, whatever their priority.

        Returns:
            How many were.
        """
        return await self._reprocess_all(JobState.DELAYED, until_ms=LAST_MS)

    async def change_delay(self, job_id: str, delay: Duration | datetime) -> None:
        """Change when a delayed job is due.

        Args:
            job_id: the job.
            delay: how long from now, or the (aware) instant.

        Raises:
            JobNotFound: there is no such job.
            JobNotInState: it is not delayed.
        """
        check_when("delay", delay)
        call = moving.change_delay(self._keys, self._check_id(job_id), delay, clock=self._clock)
        await self._change(call, job_id, expected=JobState.DELAYED)

    async def change_priority(self, job_id: str, priority: int, *, lifo: bool = False) -> None:
        """Change a job's priority, and its place if it is ready to run.

        Args:
            job_id: the job.
            priority: 0 runs first; then 1 to 2,097,151, lower numbers sooner.
            lifo: put it before the others of this priority.

        Raises:
            ConfigError: the priority is out of range.
            JobNotFound: there is no such job.
        """
        check_range("priority", priority, 0, MAX_PRIORITY)
        call = moving.change_priority(self._keys, self._check_id(job_id), priority, lifo=lifo)
        await self._change(call, job_id)

    async def cancel(self, job_id: str, reason: str = "cancelled") -> bool:
        """Cancel a job: it fails for good with this reason, and its handler is not run again.

        A job that is not running yet is failed by the next free worker, without being run. One that
        runs on an oxcart worker, on whatever machine, has its handler cancelled within about two
        seconds. BullMQ's workers finish what they are running.

        Args:
            job_id: the job.
            reason: kept as its failed reason.

        Returns:
            Whether it was running: then its worker was told, and its handler may still end first.

        Raises:
            JobNotFound: there is no such job.
            JobNotInState: it is finished already.
        """
        call = moving.cancel(self._keys, self._check_id(job_id), reason or "cancelled")
        return await self._change(call, job_id, expected="unfinished") == 1

    async def retry(
        self, job_id: str, *, state: JobState = JobState.FAILED, resets_attempts: bool = False
    ) -> None:
        """Put a finished job back to be run.

        Args:
            job_id: the job.
            state: the state it must be in, ``FAILED`` or ``COMPLETED``.
            resets_attempts: count its attempts anew. Without it, a job whose attempts are used up
                is run once more.

        Raises:
            JobNotFound: there is no such job.
            JobNotInState: it is in another state.
        """
        state = finished_state(state)
        call = moving.reprocess(
            self._keys, self._check_id(job_id), state, resets_attempts=resets_attempts
        )
        await self._change(call, job_id, expected=state)

    async def retry_all(
        self,
        state: JobState = JobState.FAILED,
        *,
        before: datetime | None = None,
        count: int | None = None,
    ) -> int:
        """Put the jobs of a finished state back to wait, the earliest finished first.

        Args:
            state: ``FAILED`` or ``COMPLETED``.
            before: only jobs that finished before this (aware) instant; default: until now.
            count: how many at the most; default: all.

        Returns:
            How many were put back.

        Raises:
            ConfigError: an argument is wrong; nothing was put back.
        """
        state = finished_state(state)
        if count is not None and count < 1:
            raise ConfigError(f"count is {count}; it must be 1 or more")
        until_ms = await self._now_ms()
        if before is not None:
            check_aware("before", before)
            until_ms = min(until_ms, epoch_ms(before) - 1)
        return await self._reprocess_all(state, until_ms=until_ms, limit=count)

    async def clean(self, grace: Duration, *, limit: int = 0, state: JobState) -> list[str]:
        """Remove jobs of a state that are older than ``grace``.

        A finished job's age counts from its end; another's from when it was taken, else added.
        Active jobs with a living lock and pending jobs of schedulers are spared.

        Args:
            grace: how old a job must be.
            limit: remove so many at the most; 0 sets no limit.
            state: which state.

        Returns:
            The ids removed.
        """
        newest_ms = max(0, await self._now_ms() - to_ms(grace, what="grace"))
        return await self._sweep(
            STATE_SUFFIXES[state_of(state)], limit=limit, newest_ms=newest_ms, emits=True
        )

    async def drain(self, *, delayed: bool = False) -> None:
        """Remove all jobs that are ready, and the delayed ones too if asked for.

        Active and finished jobs stay, and so do pending jobs of schedulers.
        """
        suffixes = [STATE_SUFFIXES[JobState.WAITING], "paused"]
        suffixes.append(STATE_SUFFIXES[JobState.PRIORITIZED])
        if delayed:
            suffixes.append(STATE_SUFFIXES[JobState.DELAYED])
        for suffix in suffixes:
            await self._sweep(suffix, limit=0, newest_ms=None, emits=False)

    async def obliterate(self, *, force: bool = False) -> None:
        """Remove the queue with everything in it: jobs, schedulers, limits, events, settings.

        The queue is paused first, so that nothing is taken meanwhile. Parents in other queues that
        waited for a job of this one go on. At the end the whole database is looked through, a part
        at a time, for keys that oxcart keeps for a minute. The registry of workers stays
        while one of them runs, and goes with the last one.

        Args:
            force: even while jobs are being run; their workers then cannot finish them.

        Raises:
            QueueBusy: jobs are being run. Nothing was removed, and the queue stays paused.
        """
        await self.pause()
        while code := await self._write(
            sweeping.obliterate(self._keys, count=OBLITERATE_BATCH, is_forced=force)
        ):
            if code == NOT_PAUSED:  # somebody resumed it meanwhile
                await self.pause()
            elif code == BUSY:
                raise QueueBusy(queue=self.name)
        self._is_open = False
        cursor, is_done = "0", False
        while not is_done:
            call = sweeping.remove_private_keys(self._keys, cursor, count=sweeping.SCAN)
            cursor = await self._store.run(call)
            is_done = cursor == "0"

    async def remove_stray_jobs(self) -> list[str]:
        """Remove jobs that are in no state, and what is left of jobs that are gone.

        There are none unless somebody deleted keys by hand, or another program crashed halfway.
        The whole database is looked at, a part at a time.

        Returns:
            The ids of the jobs removed.
        """
        found: list[str] = []
        cursor = "0"
        while True:
            call = sweeping.remove_stray_jobs(self._keys, cursor, count=sweeping.SCAN)
            cursor, removed = await self._store.run(call)
            found += removed
            if cursor == "0":
                return found

    async def pause(self) -> None:
        """Stop the queue's jobs from being taken, by any worker. Running jobs go on."""
        await self._write(switching.pause(self._keys))

    async def resume(self) -> None:
        """Let the queue's jobs be taken again."""
        is_first = True
        while await self._write(switching.resume(self._keys, is_first=is_first)):
            is_first = False

    async def _reprocess_all(
        self, state: JobState, *, until_ms: int, limit: int | None = None
    ) -> int:
        total, has_more = 0, True
        while has_more and (limit is None or total < limit):
            most = RETRY_BATCH if limit is None else min(RETRY_BATCH, limit - total)
            call = moving.reprocess_all(self._keys, state, count=most, until_ms=until_ms)
            count, has_more = await self._write(call)
            total += count
        return total

    async def _sweep(
        self, suffix: str, *, limit: int, newest_ms: int | None, emits: bool
    ) -> list[str]:
        pages: list[list[str]] = []
        kept, removed = 0, 0
        while True:
            left = limit - removed if limit else sweeping.SCAN
            call = sweeping.sweep(
                self._keys,
                suffix,
                offset=kept,
                limit=left,
                newest_ms=newest_ms,
                emits=emits,
                scan=min(left, sweeping.SCAN) if limit else sweeping.SCAN,
            )
            swept = await self._write(call)
            pages.append(list(swept.removed))
            removed += len(swept.removed)
            kept += swept.looked_at - len(swept.removed)
            is_done = bool(limit) and removed >= limit
            if is_done or swept.looked_at < sweeping.SCAN:
                return _join_pages(pages, suffix)


def _join_pages(pages: list[list[str]], suffix: str) -> list[str]:
    # Lists are swept from the right, so the later page stands before the earlier one.
    is_list = suffix in (STATE_SUFFIXES[JobState.WAITING], STATE_SUFFIXES[JobState.ACTIVE])
    ordered = reversed(pages) if is_list else pages
    return [job_id for page in ordered for job_id in page]
