"""The TypeScript of the page about Next.js, run with real cookies and a real API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from tests.integration.http.following import following
from tests.integration.http.running import (
    ADA,
    BOB,
    SERVICE_KEY,
    add_users,
    make_settings,
    running,
    working,
)
from tests.interop.live import runtime
from tests.interop.nextjs.recipe import running_handlers, write_files
from tests.interop.sessions.installation import NodeHome, TokenOrder
from tests.support import wait_until

from oxcart.http import create_app
from oxcart.system import open_system

SECRET = "s3cret-of-the-site-0123456789abcdef"
TYPESCRIPT_NODE = 24


async def test_site_calls_the_api_through_the_handler(
    node_home: NodeHome, typescript_node: str, valkey_url: str, prefix: str, tmp_path: Path
) -> None:
    """The site's own calls, streams, ranges; and nothing without the site's session."""
    tokens = node_home.make_tokens(
        TokenOrder(name=user, major=4, secret=SECRET, claims={"sub": user}) for user in (ADA, BOB)
    )
    settings = make_settings(
        tmp_path, redis_url=valkey_url, prefix=prefix, files_url="http://site.example"
    )
    assert len(write_files(tmp_path)) == 4
    async with open_system(settings) as system:
        await add_users(system.database)
        app = create_app(system)
        async with running(app, asyncio.Event()) as api_url:
            with running_handlers(
                typescript_node, node_home, tmp_path,
                api_url=api_url, key=SERVICE_KEY, secret=SECRET,
            ) as url:  # fmt: skip
                async with browser(url, tokens[ADA]) as ada, browser(url, tokens[BOB]) as bob:
                    export_id = await _ask(ada, key="first")
                    assert export_id == await _ask(ada, key="first")
                    path = f"/api/exports/{export_id}"
                    async with following(ada, f"{path}/events") as stream:
                        first = await stream.event()
                        async with working(system):
                            end = (await stream.until("end"))[-1]
                    assert ("status", "PENDING") == (first.name, first.data["status"])
                    assert end.data["status"] == "COMPLETED"
                    await _open_file(ada, bob, end.data["fileUrl"])
                    assert (await bob.get(path)).status_code == 404
                    again = {"last-event-id": str(end.id)}
                    assert (await ada.get(f"{path}/events", headers=again)).status_code == 204
                    waited = await ada.get(f"/api/queues/status/{export_id}", params={"wait": 5})
                    assert waited.json()["state"] == "completed"
                    other_id = await _ask(ada, key="second")
                    async with following(ada, f"/api/exports/{other_id}/events") as stream:
                        await stream.event()
                        assert 1 == app.state.live.clients.count
                    await wait_until(lambda: app.state.live.clients.count == 0, what="the end")
                await _refuse(url, tokens[ADA], path)


@pytest.fixture
def typescript_node() -> str:
    try:
        return runtime.find_node(oldest=TYPESCRIPT_NODE).program
    except runtime.RuntimeMissing as missing:
        pytest.skip(str(missing))


@asynccontextmanager
async def browser(url: str, token: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser whose user is logged in at the site, on a page of it."""
    async with httpx2.AsyncClient(
        base_url=url,
        headers={"sec-fetch-site": "same-origin"},
        cookies={"next-auth.session-token": token},
    ) as client:
        yield client


async def _ask(client: httpx2.AsyncClient, *, key: str) -> str:
    created = await client.post(
        "/api/exports", json={"type": "USER_DATA"}, headers={"idempotency-key": key}
    )
    assert 200 == created.status_code, created.text
    export_id: str = created.json()["exportJob"]["id"]
    listed = (await client.get("/api/exports")).json()["exports"]
    assert export_id in [item["id"] for item in listed]
    return export_id


async def _open_file(ada: httpx2.AsyncClient, bob: httpx2.AsyncClient, link: str) -> None:
    assert link.startswith("http://site.example/api/exports/")
    path = link.removeprefix("http://site.example")

    whole = await ada.get(path)
    part = await ada.get(path, headers={"range": "bytes=10-19"})
    known = await ada.get(path, headers={"if-none-match": whole.headers["etag"]})

    assert 200 == whole.status_code
    assert whole.headers["content-disposition"].startswith("attachment")
    # Next itself leaves the length out, and sends the file in chunks.
    assert whole.headers.get("content-length") in (None, str(len(whole.content)))
    assert (206, whole.content[10:20]) == (part.status_code, part.content)
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    assert 304 == known.status_code
    assert (await ada.head(path)).headers["etag"] == whole.headers["etag"]
    assert (await bob.get(path)).status_code == 404


async def _refuse(url: str, token: str, path: str) -> None:
    cookie = {"cookie": f"next-auth.session-token={token}"}
    async with httpx2.AsyncClient(base_url=url) as anyone:
        assert (await anyone.get("/api/exports")).status_code == 401
        forged = {"cookie": f"next-auth.session-token={token[:-4]}AAAA"}
        assert (await anyone.get(path, headers=forged)).status_code == 401
        spoofed = {"x-oxcart-user": ADA, "authorization": f"Bearer {SERVICE_KEY}"}
        assert (await anyone.get(path, headers=spoofed)).status_code == 401
        for origin in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}, {}):
            answer = await anyone.post(
                "/api/exports", json={"type": "USER_DATA"}, headers=cookie | origin
            )
            assert answer.status_code == 403
        for other in ("/api/queues/webhook", "/metrics", "/api/exports/%2e%2e/worker/burst"):
            assert (await anyone.get(other, headers=cookie)).status_code == 404
