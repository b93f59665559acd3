from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from tests.integration.mail.faulty_server import FaultyServer
from tests.integration.mail.test_pool import send_many
from tests.integration.mail.test_transport import make_message
from tests.support import wait_until

from oxcart.errors import ConfigError
from oxcart.mail.kept_mail import list_messages
from oxcart.mail.outgoing import mailbox_folder, open_transport
from oxcart.mail.payloads import welcome
from oxcart.settings import Settings
from oxcart.system import open_system


async def test_mail_goes_to_the_server_that_is_set(server: FaultyServer, tmp_path: Path) -> None:
    settings = Settings(smtp_host=server.host, smtp_port=server.port, data_dir=tmp_path)

    async with open_transport(settings) as transport:
        await transport.send(make_message())

    assert len(server.messages) == 1
    assert not mailbox_folder(settings).exists()


async def test_mail_of_development_goes_to_the_mailbox(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)

    async with open_transport(settings) as transport:
        await transport.send(make_message())

    assert [m.recipient for m in list_messages(mailbox_folder(settings))] == ["ada@example.com"]


async def test_missing_mailbox_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiosmtpd is an extra of its own: a program with an SMTP server does without."""
    monkeypatch.delitem(sys.modules, "oxcart.mail.mailbox", raising=False)
    monkeypatch.setitem(sys.modules, "aiosmtpd.smtp", None)

    with pytest.raises(ConfigError, match=r"oxcart\[mailbox\]"):
        async with open_transport(Settings(data_dir=tmp_path)):
            pass


async def test_production_does_not_start_without_a_server(tmp_path: Path) -> None:
    settings = Settings(env="production", data_dir=tmp_path)

    with pytest.raises(ConfigError, match="SMTP_HOST is not set"):
        async with open_transport(settings):
            pass

    assert not mailbox_folder(settings).exists()


async def test_as_many_mails_are_sent_at_a_time_as_the_settings_say(
    server: FaultyServer, tmp_path: Path
) -> None:
    server.hold = asyncio.Barrier(3)
    settings = Settings(
        smtp_host=server.host, smtp_port=server.port, data_dir=tmp_path, email_concurrency=3
    )

    async with open_transport(settings) as transport:
        await send_many(transport, 12)

    assert server.most_under_way == 3


async def test_as_many_mails_are_sent_at_a_time_as_the_worker_has_places(
    server: FaultyServer, valkey_url: str, prefix: str, tmp_path: Path
) -> None:
    """A command may give it other places than the settings have."""
    server.hold = asyncio.Barrier(7)
    settings = Settings(
        redis_url=valkey_url,
        prefix=prefix,
        smtp_host=server.host,
        smtp_port=server.port,
        data_dir=tmp_path,
    )
    async with open_system(settings) as system:
        worker = system.worker({"email": 7})
        for number in range(7):
            await system.mailer.send(welcome(f"user{number}@example.com", "Ada"))

        async with asyncio.TaskGroup() as group:
            group.create_task(system.run_worker(worker))
            await wait_until(lambda: len(server.messages) == 7, what="the mails are there")
            worker.stop()

    assert server.most_under_way == 7
