"""Jobs that a worker has taken on the server, while the reply that carries them is under way."""

from __future__ import annotations

from dataclasses import dataclass

from oxcart._wire.keys import QueueKeys


@dataclass(slots=True, eq=False)
class Transfer:
    """The unanswered step of a lane.

    Shared between the event loop and the lock keeper's thread: ``pending`` is written by the loop,
    ``renewed`` by the thread, each as a whole.

    Attributes:
        keys: the queue.
        worker_id: under which the server remembers the lane's last step.
        pending: the step's number and when it was first sent, in monotonic seconds; ``None`` when
            there is none that takes jobs.
        renewed: the number of the step whose locks were renewed last, and when that began.
    """

    keys: QueueKeys
    worker_id: str
    pending: tuple[int, float] | None = None
    renewed: tuple[int, float] = (0, 0.0)

    def locked_since(self, sequence: int, started_at: float) -> float:
        """Return when the locks of a step's jobs were set or renewed, at the earliest."""
        number, renewed_at = self.renewed
        return renewed_at if number == sequence else started_at
