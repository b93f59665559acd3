"""The site's pages call the API as they called the old one; its users are logged in there too."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2
import pytest
from tests.integration.http.running import ADA, BOB, add_users, make_settings, running
from tests.interop.sessions.installation import NodeHome
from tests.interop.sessions.site import log_in, log_out, running_site

from oxcart.http import create_app
from oxcart.system import open_system

SECRET = "s3cret-of-the-site-0123456789abcdef"
USERS = [{"id": ADA, "email": "ada@example.org"}, {"id": BOB, "email": "big@example.org"}]


@pytest.mark.parametrize("major", [4, 5])
async def test_user_of_the_site_uses_the_api_with_the_sites_own_session(
    node_home: NodeHome, valkey_url: str, prefix: str, tmp_path: Path, major: int
) -> None:
    """NextAuth's own route handler logs the user in and out; ``big`` has a cookie in chunks."""
    settings = make_settings(
        tmp_path, redis_url=valkey_url, prefix=prefix, nextauth_secret=SECRET, operator_keys=()
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
                await _use(site.url)


async def _use(url: str) -> None:
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

        await log_out(ada)
        assert 401 == (await ada.get("/api/exports")).status_code
