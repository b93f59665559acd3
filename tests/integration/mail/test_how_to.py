"""Runs every snippet of the how-to guide, as it stands there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from tests.support import wait_until

from oxcart import App, mail
from oxcart._settings.checks import PROGRAMS, examine
from oxcart.settings import ENVIRONMENT

GUIDE = Path(__file__).parents[3] / "docs" / "how-to" / "send-emails.md"
TEMPLATES = re.findall(
    r'^```jinja title="(.*?)"\n(.*?)^```$', GUIDE.read_text("utf-8"), re.M | re.S
)
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text("utf-8"), re.M | re.S)


@pytest.fixture(autouse=True)
def environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, valkey_url: str, prefix: str
) -> Iterator[Path]:
    """A reader's environment; gives the mailbox folder."""
    for name in ("SMTP_HOST", "SMTP_USER", "SMTP_PASS", "OXCART_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OXCART_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("OXCART_PREFIX", prefix)
    monkeypatch.setenv("REDIS_URL", valkey_url)
    mail.configure(None)
    yield tmp_path / "mailbox"
    mail.configure(None)


def test_every_snippet_runs_and_the_mails_arrive(
    environment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the first snippet, which queues, to the last, whose worker delivers."""
    sending, blocking, reading, mailer, worker = SNIPPETS
    scope: dict[str, object] = {"__name__": "guide"}

    for snippet in (sending, blocking, mailer, worker):
        run(snippet, scope)
    asyncio.run(deliver(scope, environment))
    asyncio.run(mail.aclose())
    capsys.readouterr()
    run(reading, scope)

    assert capsys.readouterr().out.count("ada@example.com") == 5


async def deliver(scope: dict[str, object], mailbox: Path, *, count: int = 5) -> None:
    """Run the guide's worker until it has delivered all."""
    work, app = scope["work"], scope["app"]
    assert callable(work)
    assert isinstance(app, App)
    async with asyncio.TaskGroup() as group:
        working = group.create_task(work())
        await wait_until(lambda: len(mail.list_messages(mailbox)) == count, what="all mails")
        working.cancel()


def test_templates_of_the_guide_are_those_that_arrive(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written as the guide says, they pass the checks of the start and are what is sent."""
    folder = tmp_path / "templates"
    folder.mkdir()
    for name, text in TEMPLATES:
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("OXCART_MAIL_TEMPLATES", str(folder))
    sending, _, _, mailer, worker = SNIPPETS
    scope: dict[str, object] = {"__name__": "guide"}

    assert not examine(PROGRAMS["worker"]).problems
    for snippet in (sending, mailer, worker):
        run(snippet, scope)
    asyncio.run(deliver(scope, environment, count=4))
    asyncio.run(mail.aclose())

    (welcome,) = [m for m in mail.list_messages(environment) if "aboard" in m.subject]
    content = message_from_bytes(welcome.path.read_bytes(), policy=policy.default)
    assert isinstance(content, EmailMessage)
    assert welcome.subject == "Welcome aboard, Ada"
    for kind in ("plain", "html"):
        part = content.get_body((kind,))
        assert part is not None
        assert "http://localhost:3000/profile" in part.get_content()
    assert "<style>" in content.get_body(("html",)).get_content()  # type: ignore[union-attr]


def run(snippet: str, scope: dict[str, object]) -> None:
    exec(compile(snippet, str(GUIDE), "exec"), scope)  # noqa: S102  # our own documentation


def test_variables_of_the_guide_are_those_that_are_read() -> None:

    known = {name for names in ENVIRONMENT.values() for name in names}
    named = set(re.findall(r"`((?:SMTP|OXCART|NEXTAUTH|APP)_\w+)[`=]", GUIDE.read_text("utf-8")))

    assert named <= known
    assert {name for name in known if "SMTP" in name} <= named
