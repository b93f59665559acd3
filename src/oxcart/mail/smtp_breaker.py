"""Circuit breaker of a worker's e-mail queue: no e-mail is taken while the SMTP server is down.

A failure that every mail would meet (no connection, no TLS, a refused log-in) opens the breaker:
the worker takes no further e-mails, and the mails that met the failure go back to the queue without
an attempt being counted. The breaker then checks the server with a growing wait, and closes when
the server lets a sender in. Each worker process has a breaker of its own.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from oxcart.mail.errors import SmtpError, SmtpMisconfigured

log = logging.getLogger("oxcart.mail")

FIRST_WAIT_S = 1.0
"""How long after the failure the server is checked first; twice as long each further time."""
LONGEST_WAIT_S = 30.0
JITTER = 0.2
"""Waits are shortened by up to this share, so that many processes do not check at one moment."""


class Pauses(Protocol):
    """Pauses a worker; ``oxcart.AppWorker.pauses`` is the real one."""

    def pause(self, queue: str, *, reason: str = "", error: BaseException | None = None) -> None:
        """Take no further jobs of a queue."""

    def resume(self, queue: str) -> None:
        """Take them again."""


class SmtpBreaker:
    """Pauses a worker's e-mail queue from a failure of the SMTP server until a check succeeds.

    Used in one event loop. ``run`` does the checks.

    Args:
        check: connects, logs in and names the sender; raises ``SmtpError`` where that fails.
        pauses: pauses the worker.
        queue: the e-mail queue.
        server: names the server in the log.
        longest_wait_s: the longest time between two checks.
        first_wait_s: the time before the first check.
        sleep: waits for some seconds.
        clock: a monotonic clock in seconds.
    """

    def __init__(
        self,
        check: Callable[[], Awaitable[None]],
        pauses: Pauses,
        *,
        queue: str,
        server: str = "",
        longest_wait_s: float = LONGEST_WAIT_S,
        first_wait_s: float = FIRST_WAIT_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._check = check
        self._pauses = pauses
        self._queue = queue
        self._server = server
        self._longest_wait_s = longest_wait_s
        self._first_wait_s = min(first_wait_s, longest_wait_s)
        self._sleep = sleep
        self._clock = clock
        self._wait_s = self._first_wait_s
        self._opened_at = 0.0
        self._opened = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether the worker takes no e-mails."""
        return self._opened.is_set()

    def mail_sent(self) -> None:
        """Note that the server took a mail: the next failure begins with short waits again."""
        self._wait_s = self._first_wait_s

    def server_failed(self, error: SmtpError) -> None:
        """Note a failure that every mail would meet; the first one opens the breaker."""
        if self.is_open:
            return
        self._opened.set()
        self._opened_at = self._clock()
        log.error("email.sending_held", extra=self._facts(error))
        self._pauses.pause(self._queue, reason=_reason(error), error=error)

    async def run(self) -> None:
        """Check the server while the breaker is open, until cancelled."""
        while True:
            await self._opened.wait()
            check_count = 0
            is_closed = False
            while not is_closed:
                await self._wait()
                check_count += 1
                is_closed = await self._has_recovered()
            self._close(check_count)

    async def _wait(self) -> None:
        wait_s = self._wait_s * (1 - JITTER * random.random())  # noqa: S311  # no secret
        self._wait_s = min(self._longest_wait_s, self._wait_s * 2)
        await self._sleep(wait_s)

    async def _has_recovered(self) -> bool:
        try:
            await self._check()
        except SmtpError as error:
            log.debug("email.smtp_check_failed", extra=self._facts(error))
            self._pauses.pause(self._queue, reason=_reason(error))
            return False
        # An error that is not expected must not end the checks, and the worker with them.
        except Exception:
            log.exception("email.smtp_check_broke")
            return False
        return True

    def _close(self, check_count: int) -> None:
        self._opened.clear()
        held_s = round(self._clock() - self._opened_at, 1)
        extra = {"smtp_server": self._server, "held_s": held_s, "checks": check_count}
        log.info("email.sending_resumed", extra=extra)
        self._pauses.resume(self._queue)

    def _facts(self, error: SmtpError) -> dict[str, object]:
        return {
            "smtp_server": self._server,
            "stage": error.stage,
            "reason": error.reason,
            "is_configuration": isinstance(error, SmtpMisconfigured),
        }


def _reason(error: SmtpError) -> str:
    return f"the SMTP server takes no mail ({error.stage}): {error.reason}"
