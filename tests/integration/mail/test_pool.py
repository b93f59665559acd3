"""Several mails at a time, each on a connection of its own, and what servers allow of that."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from tests.integration.mail.faulty_server import CONTENT, DROP, GREETING, HANG, LATER, FaultyServer
from tests.integration.mail.test_transport import make_message, make_settings
from tests.support import wait_until

from oxcart.mail.errors import SmtpMisconfigured, SmtpTemporary
from oxcart.mail.transport import SmtpTransport, Transport


@pytest.fixture
async def transport(server: FaultyServer) -> AsyncIterator[SmtpTransport]:
    async with SmtpTransport(make_settings(server)) as opened:
        yield opened


async def send_many(transport: Transport, count: int) -> None:
    """Send so many mails at once; the first that fails fails this."""
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(transport.send(make_message(f"user{number}@example.com")))


async def open_all(transport: SmtpTransport, server: FaultyServer, count: int) -> None:
    """Have so many connections opened and kept."""
    server.hold = asyncio.Barrier(count)
    await send_many(transport, count)
    server.hold = None
    assert server.connection_count == count


async def are_under_way(server: FaultyServer, count: int) -> None:
    await wait_until(lambda: len(server.under_way) == count, what=f"{count} mails are under way")


async def test_five_mails_are_sent_at_a_time(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    """None is accepted before all five are there."""
    server.hold = asyncio.Barrier(5)

    await send_many(transport, 5)

    assert len(server.messages) == 5
    assert {message.connection for message in server.messages} == {1, 2, 3, 4, 5}


async def test_never_more_than_allowed_and_connections_are_used_again(server: FaultyServer) -> None:
    server.hold = asyncio.Barrier(3)
    async with SmtpTransport(make_settings(server, max_connections=3)) as transport:
        await send_many(transport, 30)

    assert len(server.messages) == 30
    assert server.most_under_way == 3
    assert server.connection_count == 3


async def test_connection_used_last_is_used_first(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    """So the others stay unused, and are closed in time."""
    await open_all(transport, server, 3)

    for _ in range(4):
        await transport.send(make_message())

    assert len({message.connection for message in server.messages[3:]}) == 1


async def test_unused_connections_are_all_closed_politely(server: FaultyServer) -> None:
    settings = make_settings(server, idle_limit=timedelta(milliseconds=20))
    async with SmtpTransport(settings) as transport:
        await open_all(transport, server, 3)

        await wait_until(lambda: not server.sessions, what="the connections are closed")

        assert [server.commands_of(number)[-1] for number in (1, 2, 3)] == ["QUIT"] * 3


async def test_connections_that_the_server_closed_meanwhile_are_all_replaced(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    await open_all(transport, server, 5)
    server.drop_connections()
    server.hold = asyncio.Barrier(5)

    await send_many(transport, 5)

    assert len(server.messages) == 10
    assert server.connection_count == 10


async def test_every_kept_connection_that_takes_no_more_mail_is_replaced(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    await open_all(transport, server, 3)
    server.fault("MAIL", *["421 4.4.2 idle for too long"] * 3)

    await send_many(transport, 3)

    assert len(server.messages) == 6
    assert server.connection_count == 6


async def test_mail_meets_one_dead_connection_and_not_all_of_them(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    """What is kept beside it may be as dead, and may take a time-out each to find out."""
    await open_all(transport, server, 3)
    server.fault("MAIL", DROP)

    await transport.send(make_message())

    assert server.messages[-1].connection == 4


async def test_lost_connection_harms_no_other_mail(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    server.hold = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        sendings = [group.create_task(_outcome(transport)) for _ in range(3)]
        await are_under_way(server, 3)
        next(session for session in server.sessions if session.number == 2).drop()
        await are_under_way(server, 2)
        server.hold.set()

    assert sorted(sending.result() for sending in sendings) == ["sent", "sent", "temporary"]
    assert len(server.messages) == 2


async def test_cancelled_mail_harms_no_other(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    server.hold = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        sendings = [group.create_task(_outcome(transport)) for _ in range(3)]
        await are_under_way(server, 3)
        sendings[1].cancel()
        await are_under_way(server, 2)
        server.hold.set()

    assert sendings[1].cancelled()
    assert len(server.messages) == 2
    server.hold = asyncio.Barrier(5)  # its place is free again
    await send_many(transport, 5)


async def test_mail_cancelled_while_it_waits_for_a_place_lets_the_next_one_in(
    server: FaultyServer,
) -> None:
    server.hold = asyncio.Event()
    async with (
        SmtpTransport(make_settings(server, max_connections=1)) as transport,
        asyncio.TaskGroup() as group,
    ):
        first = group.create_task(_outcome(transport))
        await are_under_way(server, 1)
        second, third = (group.create_task(_outcome(transport)) for _ in range(2))
        await _has_run(second, third)
        second.cancel()
        server.hold.set()

    assert second.cancelled()
    assert (first.result(), third.result()) == ("sent", "sent")
    assert len(server.messages) == 2


async def test_closing_waits_for_the_mails_under_way(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    server.hold = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        sendings = [group.create_task(_outcome(transport)) for _ in range(7)]
        await are_under_way(server, 5)
        closing = group.create_task(transport.aclose())
        await _has_run(closing)
        assert not closing.done()
        server.hold.set()

    assert [sending.result() for sending in sendings] == ["sent"] * 7
    await wait_until(lambda: not server.sessions, what="the connections are closed")
    assert [server.commands_of(number)[-1] for number in range(1, 6)] == ["QUIT"] * 5


async def test_mail_after_closing_opens_a_new_connection(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    await transport.send(make_message())
    await transport.aclose()

    await transport.send(make_message())

    assert [message.connection for message in server.messages] == [1, 2]


async def test_closing_that_is_cancelled_closes_all_the_same(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    await open_all(transport, server, 3)
    server.fault("QUIT", *[HANG] * 3)
    async with asyncio.TaskGroup() as group:
        closing = group.create_task(transport.aclose())
        await wait_until(lambda: not server.faults["QUIT"], what="goodbye is said")
        closing.cancel()

    assert closing.cancelled()
    await wait_until(lambda: not server.sessions, what="the connections are closed")


async def test_server_that_admits_fewer_gets_all_mails_over_those(
    transport: SmtpTransport, server: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "oxcart.mail")
    server.admits = 2
    server.hold = asyncio.Barrier(2)

    await send_many(transport, 20)

    assert len(server.messages) == 20
    assert server.most_under_way == 2
    assert {message.connection for message in server.messages} == server.admitted
    records = [each for each in caplog.records if each.message == "email.smtp_fewer_connections"]
    assert vars(records[-1])["reason"] == "421 4.7.0 too many connections from your address"


async def test_limit_is_remembered(transport: SmtpTransport, server: FaultyServer) -> None:
    """A server that has said no is not asked again with every mail."""
    server.admits = 1
    await send_many(transport, 5)
    asked = server.connection_count
    server.admits, server.most_under_way = None, 0

    await send_many(transport, 10)

    assert len(server.messages) == 15
    assert server.connection_count == asked
    assert server.most_under_way == 1


async def test_one_more_connection_is_tried_after_a_while(server: FaultyServer) -> None:
    settings = make_settings(server, fewer_for=timedelta(0))
    async with SmtpTransport(settings) as transport:
        server.admits = 1
        await send_many(transport, 5)
        server.admits = None
        server.hold = asyncio.Barrier(5)

        await send_many(transport, 10)

    assert len(server.messages) == 15
    assert server.most_under_way == 5


async def test_server_that_lets_nobody_in_is_told_to_every_mail(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    server.fault(GREETING, *["421 4.7.0 too many connections"] * 5)

    async with asyncio.TaskGroup() as group:
        sendings = [group.create_task(_outcome(transport)) for _ in range(5)]

    assert [sending.result() for sending in sendings] == ["temporary"] * 5
    server.hold = asyncio.Barrier(5)  # that was no limit: nobody had a connection
    await send_many(transport, 5)


async def test_log_in_that_is_refused_beside_open_connections_waits_for_one_of_them(
    transport: SmtpTransport, server: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it is, the mail can go; the operator is told."""
    server.hold = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(transport.send(make_message()))
        await are_under_way(server, 1)
        server.fault(GREETING, "554 5.7.1 go away")
        group.create_task(transport.send(make_message()))
        await wait_until(lambda: _is_logged(caplog, "smtp_misconfigured"), what="it is logged")
        server.hold.set()

    assert [message.connection for message in server.messages] == [1, 1]
    assert not server.faults[GREETING]


async def test_log_in_that_is_refused_alone_is_told(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    server.fault(GREETING, "554 5.7.1 go away")

    with pytest.raises(SmtpMisconfigured):
        await transport.send(make_message())


async def test_server_that_takes_fewer_mails_at_a_time_gets_all_of_them_once(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    """Exchange Online lets everybody in, and refuses the fourth mail when it is all there."""
    server.takes = 3

    await send_many(transport, 30)

    recipients = [message.recipient for message in server.messages]
    assert sorted(recipients) == sorted({f"user{number}@example.com" for number in range(30)})


async def test_mail_refused_for_its_company_is_told_when_it_has_none(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    """Others than we may hold the connections: the job's next attempt comes later."""
    server.fault(CONTENT, "432 4.3.2 Concurrent connections limit exceeded")

    with pytest.raises(SmtpTemporary, match=r"^432 4\.3\.2"):
        await transport.send(make_message())

    await transport.send(make_message())
    assert len(server.messages) == 1


async def test_mail_cancelled_while_it_waits_for_others_harms_none(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    server.admits, server.hold = 1, asyncio.Event()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(_outcome(transport))
        await are_under_way(server, 1)
        second, third = (group.create_task(_outcome(transport)) for _ in range(2))
        await wait_until(
            lambda: server.connection_count == 3 and len(server.sessions) == 1,
            what="two are turned away",
        )
        second.cancel()
        server.hold.set()

    assert second.cancelled()
    assert (first.result(), third.result()) == ("sent", "sent")
    server.admits = None
    await send_many(transport, 6)
    assert server.connection_count == 3  # it gave back the one place that it had, and no other


async def test_connection_that_gets_in_late_counts(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    """Of those that are opened together, one may be refused before another has got in."""
    server.hold = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(transport.send(make_message()))
        await are_under_way(server, 1)
        server.fault(GREETING, LATER, "421 4.7.0 too many connections")
        group.create_task(transport.send(make_message()))
        group.create_task(transport.send(make_message()))
        await wait_until(
            lambda: server.connection_count == 3 and len(server.sessions) == 2,
            what="one is turned away",
        )
        server.later.set()
        await are_under_way(server, 2)
        server.hold.set()

    server.hold = asyncio.Barrier(2)
    await send_many(transport, 2)
    assert len(server.messages) == 5
    assert server.connection_count == 3


async def test_mail_of_a_dead_connection_goes_over_another_if_no_new_one_is_let_in(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    await open_all(transport, server, 2)
    server.admits, server.hold = 1, asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(transport.send(make_message()))
        await are_under_way(server, 1)
        server.fault("MAIL", DROP)
        group.create_task(transport.send(make_message()))
        await wait_until(
            lambda: server.connection_count == 3 and len(server.sessions) == 1,
            what="a new one is turned away",
        )
        server.hold.set()

    assert len({message.connection for message in server.messages[2:]}) == 1
    assert server.connection_count == 3


@pytest.mark.parametrize("admits", [None, 2])
async def test_every_mail_is_sent_once_or_told_whatever_happens(
    server: FaultyServer, admits: int | None
) -> None:
    """Nothing of a mail that failed is with the server, and nobody waits for ever."""
    server.admits = admits
    for step in (GREETING, "EHLO", "MAIL", "RCPT", "DATA", CONTENT):
        server.fault(step, DROP, "451 4.3.0 later", "421 4.3.2 closing", "432 4.3.2 too many")
    async with SmtpTransport(make_settings(server, max_mails=7)) as transport:
        async with asyncio.TaskGroup() as group:
            sendings = [group.create_task(_outcome(transport)) for _ in range(100)]
        outcomes = [sending.result() for sending in sendings]
        outcomes += [await _outcome(transport) for _ in range(30)]

    assert outcomes.count("sent") == len(server.messages)
    assert outcomes.count("sent") > 100
    await wait_until(lambda: not server.sessions, what="the connections are closed")


async def _outcome(transport: SmtpTransport) -> str:
    try:
        await transport.send(make_message())
    except SmtpTemporary:
        return "temporary"
    return "sent"


async def _has_run(*tasks: asyncio.Task[object]) -> None:
    """Let tasks that were just created run until they wait for something."""
    await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)


def _is_logged(caplog: pytest.LogCaptureFixture, event: str) -> bool:
    return any(record.message == f"email.{event}" for record in caplog.records)
