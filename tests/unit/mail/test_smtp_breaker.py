from __future__ import annotations

import asyncio
import logging

import pytest
from tests.support import wait_until

from oxcart.mail.errors import SmtpError, SmtpMisconfigured, SmtpTemporary
from oxcart.mail.smtp_breaker import SmtpBreaker
from oxcart.mail.verdict import Stage, is_servers_failure

REFUSED = SmtpMisconfigured(stage="log in", code=535, words="5.7.8 wrong password")


class Server:
    """An SMTP server that is down until an instant, on a clock that only waits move on."""

    def __init__(self, up_at: float) -> None:
        self.now = 0.0
        self.up_at = up_at
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    async def check(self) -> None:
        if self.now < self.up_at:
            raise REFUSED


class Pauses:
    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.is_paused = False
        self.errors: list[BaseException] = []

    def pause(self, queue: str, *, reason: str = "", error: BaseException | None = None) -> None:
        assert queue == "email"
        self.is_paused = True
        self.reasons.append(reason)
        if error is not None:
            self.errors.append(error)

    def resume(self, queue: str) -> None:
        assert queue == "email"
        self.is_paused = False


async def test_ten_minutes_of_trouble_are_two_lines_and_few_checks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "oxcart.mail")
    server, pauses = Server(up_at=600), Pauses()
    breaker = SmtpBreaker(
        server.check, pauses, queue="email", sleep=server.sleep, clock=lambda: server.now
    )

    async with asyncio.TaskGroup() as group:
        checking = group.create_task(breaker.run())
        for _ in range(5):  # as many mails as were under way
            breaker.server_failed(REFUSED)
        assert pauses.is_paused
        await wait_until(lambda: not breaker.is_open, what="it closes")
        checking.cancel()

    assert not pauses.is_paused
    assert pauses.errors == [REFUSED]
    assert set(pauses.reasons) == {
        "the SMTP server takes no mail (log in): 535 5.7.8 wrong password"
    }
    assert 600 <= server.now < 632
    assert 0.8 <= server.waits[0] <= 1
    assert 20 < len(server.waits) < 35
    assert max(server.waits) <= 30
    held, resumed = caplog.records
    assert (held.levelname, held.message) == ("ERROR", "email.sending_held")
    assert (resumed.levelname, resumed.message) == ("INFO", "email.sending_resumed")
    assert resumed.__dict__["checks"] == len(server.waits)
    assert resumed.__dict__["held_s"] == pytest.approx(server.now, abs=0.1)


async def test_waits_stay_long_until_a_mail_was_sent() -> None:
    """A server that lets a check in and refuses the next mail is not asked every second."""
    server = Server(up_at=100)
    breaker = SmtpBreaker(
        server.check, Pauses(), queue="email", sleep=server.sleep, clock=lambda: server.now
    )

    async with asyncio.TaskGroup() as group:
        checking = group.create_task(breaker.run())
        breaker.server_failed(REFUSED)
        await wait_until(lambda: not breaker.is_open, what="it closes")
        first = len(server.waits)
        breaker.server_failed(REFUSED)
        await wait_until(lambda: not breaker.is_open, what="it closes again")
        second = len(server.waits)
        breaker.mail_sent()
        breaker.server_failed(REFUSED)
        await wait_until(lambda: not breaker.is_open, what="it closes at last")
        checking.cancel()

    assert server.waits[first] >= 24
    assert server.waits[second] <= 1


@pytest.mark.parametrize(
    ("error", "is_servers"),
    [
        (SmtpTemporary(stage=Stage.CONNECT, code=None, words="refused"), True),
        (SmtpMisconfigured(stage=Stage.CONNECT, code=554, words="no service"), True),
        (SmtpMisconfigured(stage=Stage.ENCRYPT, code=None, words="certificate"), True),
        (SmtpTemporary(stage=Stage.LOG_IN, code=454, words="not now"), True),
        (SmtpTemporary(stage=Stage.SENDER, code=None, words="connection lost"), True),
        (SmtpTemporary(stage=Stage.SENDER, code=421, words="closing"), True),
        (SmtpMisconfigured(stage=Stage.SENDER, code=530, words="log in first"), True),
        (SmtpTemporary(stage=Stage.SENDER, code=451, words="later"), False),
        (SmtpTemporary(stage=Stage.RECIPIENT, code=421, words="closing"), False),
        (SmtpTemporary(stage=Stage.CONTENT, code=None, words="connection lost"), False),
    ],
)
def test_failure_is_the_servers_if_every_mail_would_meet_it(
    error: SmtpError, is_servers: bool
) -> None:
    assert is_servers_failure(error) is is_servers
