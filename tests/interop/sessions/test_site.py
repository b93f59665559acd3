"""The site's pages call the API as they called the old one; its users are logged in there too."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import select
from tests.integration.http.running import (
    ADA,
    BOB,
    add_users,
    make_settings,
    running,
    until_finished,
    working,
)
from tests.interop.sessions.installation import NodeHome
from tests.interop.sessions.site import log_in, log_out, running_site

from oxcart.database.tables import export_job
from oxcart.http import create_app
from oxcart.system import System, open_system

SECRET = "s3cret-of-the-site-0123456789abcdef"
USERS = [{"id": ADA, "email": "ada@example.org"}, {"id": BOB, "email": "big@example.org"}]


@pytest.mark.parametrize(("major", "file_links"), [(4, "session"), (5, "signed")])
async def test_user_of_the_site_uses_the_api_with_the_sites_own_session(
    node_home: NodeHome, valkey_url: str, prefix: str, tmp_path: Path, major: int, file_links: str
) -> None:
    """NextAuth's own route handler logs the user in and out; ``big`` has a cookie in chunks."""
    settings = make_settings(
        tmp_path,
        redis_url=valkey_url,
        prefix=prefix,
        nextauth_secret=SECRET,
        operator_keys=(),
        files_url="https://www.example.org",
        file_links=file_links,
    )
    async with open_system(settings) as system:
        await add_users(system.database)
        stop = asyncio.Event()
        async with running(create_app(system), stop) as api_url:
            with running_site(
                node_home,
                major=major,
                strategy="jwt",
                api_url=api_url,
                secret=SECRET,
                users=USERS,
            ) as site:
                await _use(site.url, system)


async def _use(url: str, system: System) -> None:
    # As a browser sends it from a page of the site.
    headers = {"sec-fetch-site": "same-origin", "origin": url}
    async with (
        httpx2.AsyncClient(base_url=url, headers=headers) as ada,
        httpx2.AsyncClient(base_url=url, headers=headers) as bob,
    ):
        assert 401 == (await ada.get("/api/exports")).status_code

        await log_in(ada, "ada@example.org")
        await log_in(bob, "big@example.org")
        created = await ada.post("/api/exports", json={"type": "USER_DATA"})
        assert 200 == created.status_code, created.text
        export_id = created.json()["exportJob"]["id"]

        listed = (await ada.get("/api/exports")).json()["exports"]
        assert [export_id] == [item["id"] for item in listed]
        assert 200 == (await ada.get(f"/api/queues/status/{export_id}")).status_code
        assert [] == (await bob.get("/api/exports")).json()["exports"]
        assert 404 == (await bob.get(f"/api/queues/status/{export_id}")).status_code

        evil = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
        forged = await ada.post("/api/exports", json={"type": "USER_DATA"}, headers=evil)
        assert 403 == forged.status_code

        await _open_file(system, export_id, ada, bob)
        await log_out(ada)
        assert 401 == (await ada.get("/api/exports")).status_code


async def _open_file(
    system: System, export_id: str, ada: httpx2.AsyncClient, bob: httpx2.AsyncClient
) -> None:
    """The site shows the row's ``fileUrl`` as a link; the browser opens it as a navigation."""
    async with working(system):
        job = await until_finished(ada, export_id)
    async with system.database.read() as connection:
        url = await connection.scalar(select(export_job.c.fileUrl))
    assert job["returnvalue"] == url
    assert url.startswith("https://www.example.org/api/exports/")
    link = url.removeprefix("https://www.example.org")
    navigation = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate"}

    opened = await ada.get(link, headers=navigation)
    assert 200 == opened.status_code, opened.text
    assert opened.headers["content-disposition"].startswith("attachment")
    assert 404 == (await bob.get(link, headers=navigation)).status_code
    async with httpx2.AsyncClient(base_url=ada.base_url) as anyone:
        status = (await anyone.get(link, headers=navigation)).status_code
    assert status == (200 if system.settings.file_links == "signed" else 401)
