"""Bull Board's HTTP interface, as its own page uses it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx2

QUEUE = "parcels"
"""The queue that every test shows on its board; the prefix tells the tests' queues apart."""


class Board:
    """One queue on Bull Board.

    Args:
        client: a client whose base is the board's address.
        queue: the queue's name.
    """

    def __init__(self, client: httpx2.AsyncClient, queue: str = QUEUE) -> None:
        self._client = client
        self._queue = queue

    async def shown(self, status: str = "latest", *, page: int = 1, size: int = 10) -> Any:
        """The queue as its page shows it: counts, whether it is paused, and a page of jobs."""
        answer = await self.ask(
            "GET",
            "queues",
            params={
                "activeQueue": self._queue, "status": status, "page": page, "jobsPerPage": size,
            },
        )  # fmt: skip
        (queue,) = [queue for queue in answer["queues"] if queue["name"] == self._queue]
        return queue

    async def listed(self, status: str, *, page: int = 1, size: int = 10) -> list[Any]:
        """A page of the jobs of a state, as its tab shows them."""
        queue = await self.shown(status, page=page, size=size)
        jobs: list[Any] = queue["jobs"]
        return jobs

    async def job(self, job_id: str) -> Any:
        """A job as its own page shows it, with its ``status``."""
        answer = await self.get(quote(job_id, safe=""))
        return {**answer["job"], "status": answer["status"]}

    async def act_on(self, job_id: str, action: str) -> Any:
        """Press one of a job's buttons, by the name it has in the address."""
        return await self.put(f"{quote(job_id, safe='')}/{action}")

    async def get(self, path: str) -> Any:
        """Ask something about the queue."""
        return await self.ask("GET", f"queues/{self._queue}/{path}")

    async def put(self, path: str, body: Any = None) -> Any:
        """Do something to the queue."""
        return await self.ask("PUT", f"queues/{self._queue}/{path}", json=body)

    async def patch(self, path: str, body: Any) -> Any:
        """Change something of the queue."""
        return await self.ask("PATCH", f"queues/{self._queue}/{path}", json=body)

    async def add(self, name: str, data: Any, options: dict[str, Any]) -> Any:
        """Add a job, as "add job" and "duplicate" do."""
        body = {"name": name, "data": data, "options": options}
        answer = await self.ask("POST", f"queues/{self._queue}/add", json=body)
        return answer["job"]

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        """Make a request.

        Raises:
            BoardRefused: it was not answered with success.
        """
        answer = await self._client.request(method, f"board/api/{path}", **more)
        if not answer.is_success:
            raise BoardRefused(f"{method} {path}: {answer.status_code} {answer.text}", answer)
        return answer.json() if answer.content else None


class BoardRefused(Exception):
    """Bull Board did not do it.

    Attributes:
        status: the status of the answer.
        body: the answer.
    """

    def __init__(self, text: str, answer: httpx2.Response) -> None:
        super().__init__(text)
        self.status = answer.status_code
        self.body = answer.json()
