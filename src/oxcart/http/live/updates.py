"""What the routes of live updates share: the feeds, the limit, and how a stream is answered."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.responses import Response

from oxcart.http.live.feeds import Feeds
from oxcart.http.live.following import Follower, Intervals, View, has_ended, not_found
from oxcart.http.live.job_view import PLAIN, JobView, Presentation, read_job
from oxcart.http.live.sse import EventStream, cancelled_when_gone

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from starlette.requests import Request

    from oxcart import App, Queue
    from oxcart.http.live.limits import WaitingClients
    from oxcart.http.live.sse import ServerEvent

V = TypeVar("V", bound=View)

NO_CONTENT = 204
CLIENT_GONE = 499


class LiveUpdates:
    """Follows jobs for the clients of one process.

    Args:
        app: whose jobs.
        clients: limits how many clients wait at a time.
        intervals: how long things take in a stream.
    """

    def __init__(
        self, app: App, clients: WaitingClients, *, intervals: Intervals | None = None
    ) -> None:
        self._app = app
        self.clients = clients
        self.intervals = intervals or Intervals()
        self.feeds = Feeds()

    def of_job(
        self, queue: Queue, job_id: str, presentation: Presentation = PLAIN
    ) -> Follower[JobView]:
        """Follow a job as its queue shows it."""
        return Follower(
            lambda after: self.feeds.follow(queue, job_id, after=after),
            partial(read_job, self._app, queue, job_id, presentation),
            intervals=self.intervals,
        )

    def of_other(
        self, queue: Queue, job_id: str, read: Callable[[], Awaitable[V | None]]
    ) -> Follower[V]:
        """Follow what a job changes elsewhere, such as a row."""
        return Follower(
            lambda after: self.feeds.follow(queue, job_id, after=after, may_poll=True),
            read,
            intervals=self.intervals,
            are_states_events=False,
        )

    def stream(
        self,
        request: Request,
        follower: Follower[Any],
        *,
        caller: str,
        longest: float | None = None,
    ) -> Response:
        """Answer with a job's events.

        Args:
            request: may hold ``Last-Event-ID``.
            follower: follows the job.
            caller: for whom the stream is counted.
            longest: how long the caller may follow the job, in seconds.
        """
        last_event_id = request.headers.get("last-event-id")
        if has_ended(last_event_id):
            return Response(status_code=NO_CONTENT)  # keeps browsers from connecting again
        events = follower.events(last_event_id, longest=longest)
        return EventStream(self._counted(caller, events))

    async def wait(
        self,
        request: Request,
        follower: Follower[V],
        *,
        caller: str,
        known_state: str | None,
        seconds: float,
    ) -> V:
        """Wait for a job to end or to change its state; see ``Follower.wait``.

        Raises:
            ProblemError: 404, it is not there; 429 or 503, too many clients wait.
        """
        with self.clients.one_of(caller):
            waiting = follower.wait(known_state, seconds)
            found = await cancelled_when_gone(request.receive, waiting)
        if found is None:
            raise not_found()
        return found

    async def aclose(self) -> None:
        """End every stream and long poll, so that the server can stop."""
        await self.feeds.aclose()

    async def _counted(
        self, caller: str, events: AsyncGenerator[ServerEvent, None]
    ) -> AsyncGenerator[ServerEvent, None]:
        with self.clients.one_of(caller):
            async for event in events:
                yield event
