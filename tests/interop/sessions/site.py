"""A site in Node whose users log in by NextAuth; its other calls go to the API."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx2
from tests.interop.sessions.installation import NodeHome

STOP_SECONDS = 10


class Site:
    """The site while it runs.

    Args:
        process: the Node process; prints lines of JSON.

    Attributes:
        url: the site's URL.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url: str = self.read("url")

    def read(self, key: str) -> Any:
        """Return what the site prints next, under a key."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the site ended"
        return json.loads(line)[key]


@contextmanager
def running_site(
    home: NodeHome,
    *,
    major: int,
    strategy: str,
    api_url: str,
    secret: str,
    users: Sequence[Mapping[str, str]],
) -> Iterator[Site]:
    """Run the site.

    Args:
        home: where the program is.
        major: NextAuth's major version.
        strategy: ``jwt`` or ``database``.
        api_url: where the calls go that are not for NextAuth.
        secret: the site's secret.
        users: those who may log in, each with ``id`` and ``email``.
    """
    environment = {
        "PATH": os.environ["PATH"],
        "MAJOR": str(major),
        "STRATEGY": strategy,
        "API_URL": api_url,
        "AUTH_SECRET": secret,
        "USERS": json.dumps(users),
    }
    process = subprocess.Popen(
        [home.node, home.folder / "site.mjs"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Site(process)
    finally:
        process.kill()
        process.communicate(timeout=STOP_SECONDS)


async def log_in(browser: httpx2.AsyncClient, email: str) -> None:
    """Log in by NextAuth's own routes, in the ``jwt`` strategy by the provider of credentials."""
    token = (await browser.get("/api/auth/csrf")).json()["csrfToken"]
    form = {"csrfToken": token, "email": email}
    answer = await browser.post("/api/auth/callback/credentials", data=form)
    assert answer.status_code == 302, answer.text
    assert "error" not in answer.headers["location"]


async def log_in_by_mail(browser: httpx2.AsyncClient, site: Site, email: str) -> dict[str, str]:
    """Log in by a mailed link, in the ``database`` strategy; gives the session that was stored."""
    token = (await browser.get("/api/auth/csrf")).json()["csrfToken"]
    form = {"csrfToken": token, "email": email, "callbackUrl": site.url}
    answer = await browser.post("/api/auth/signin/email", data=form)
    assert answer.status_code == 302, answer.text
    link = re.sub(r"^https?://[^/]+", "", site.read("link"))
    answer = await browser.get(link)
    assert answer.status_code == 302, answer.text
    session: dict[str, str] = site.read("session")
    return session


async def log_out(browser: httpx2.AsyncClient) -> None:
    """Log out by NextAuth's own route."""
    token = (await browser.get("/api/auth/csrf")).json()["csrfToken"]
    answer = await browser.post("/api/auth/signout", data={"csrfToken": token})
    assert answer.status_code == 302, answer.text
