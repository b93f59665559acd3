"""Access to one job: by a credential, or by a ticket for that job alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from oxcart.http.auth import Caller, Role
from oxcart.http.problems import Kind, ProblemError

if TYPE_CHECKING:
    from oxcart.http.auth import UserDirectory
    from oxcart.http.live.tickets import Ticket, TicketSigner

TICKET_PARAMETER = "ticket"
TICKET_CALLER = "ticket"
"""The caller in the line that the log has of a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A caller that wants to follow a job.

    Attributes:
        caller: the caller, or the user that a ticket was given to.
        ticket: the ticket; ``None`` for a caller with a credential.
        seconds_left: how long the ticket is still good for.
    """

    caller: Caller
    ticket: Ticket | None = None
    seconds_left: float | None = None

    @property
    def counted_as(self) -> str:
        """For whom a stream is counted."""
        user = self.caller.user
        return f"role:{self.caller.role}" if user is None else f"user:{user.id}"

    def check(self, queue: str, job_id: str) -> None:
        """Refuse a ticket for another job.

        Raises:
            ProblemError: 403.
        """
        if self.ticket is not None and (self.ticket.queue, self.ticket.job_id) != (queue, job_id):
            raise ProblemError(Kind.FORBIDDEN, "the ticket is for another job")


class Tickets:
    """Gives tickets to callers and accepts them.

    Args:
        signer: makes and reads tickets.
        users: where the user of a ticket is looked up.
    """

    def __init__(self, signer: TicketSigner, users: UserDirectory) -> None:
        self._signer = signer
        self._users = users

    def issue(self, user_id: str | None, *, queue: str, job_id: str) -> tuple[str, datetime]:
        """Make a ticket for a job.

        Args:
            user_id: the user that may see the job; ``None``: an operator.
            queue: the job's queue.
            job_id: the job.

        Returns:
            The ticket, and when it expires.
        """
        text, ticket = self._signer.issue(queue=queue, job_id=job_id, user_id=user_id)
        return text, datetime.fromtimestamp(ticket.expires_at, UTC)

    async def accept(self, text: str) -> Access:
        """Return the access that a ticket gives.

        Raises:
            ProblemError: 401, it was not made here, was changed or has expired, or its user does
                not exist any more or is suspended.
        """
        ticket = self._signer.read(text)
        if ticket.user_id is None:
            caller = Caller(role=Role.OPERATOR)
        else:
            user = await self._users.get(ticket.user_id)
            if user is None:
                raise ProblemError(Kind.TICKET_INVALID, "the ticket's user does not exist any more")
            if user.is_suspended(datetime.now(UTC)):
                raise ProblemError(Kind.TICKET_INVALID, "the ticket's user is suspended")
            caller = Caller(role=Role.USER, user=user)
        left = self._signer.seconds_left(ticket)
        return Access(caller=caller, ticket=ticket, seconds_left=left)
