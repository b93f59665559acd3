"""What a server cannot do is said at once, with what to write instead."""

from __future__ import annotations

import asyncio
import logging

import pytest
from tests.integration.engine.running import running
from tests.integration.servers.kinds import Servers
from tests.support import SentinelTrio, ValkeyServer, free_port, wait_until

from oxcart import JobContext, Queue, Worker, sync
from oxcart._engine.locating import locate
from oxcart._store.call import command
from oxcart._store.server_check import check_server
from oxcart._store.store import Store
from oxcart.errors import ConfigError, StoreUnavailable


@pytest.mark.parametrize("name", ["work", "{}work"])
async def test_a_queue_without_a_hash_tag_is_refused_in_a_cluster(
    name: str, servers: Servers, prefix: str
) -> None:
    url = servers.url("cluster")

    with pytest.raises(ConfigError, match=r"prefix='{"):
        async with Queue(name, redis_url=url, prefix=prefix) as queue:
            await queue.add("n")
    with pytest.raises(ConfigError, match=r"prefix='{"):
        await asyncio.to_thread(lambda: sync.Queue(name, redis_url=url, prefix=prefix).add("n"))


def test_a_worker_without_a_hash_tag_is_refused_before_it_starts() -> None:
    with pytest.raises(ConfigError, match=r"prefix='{bull}'"):
        Worker("work", _nothing, redis_url="redis+cluster://127.0.0.1:1")

    Worker("{work}", _nothing, redis_url="redis+cluster://127.0.0.1:1")


async def test_a_hash_tag_may_be_in_the_queues_name(servers: Servers, prefix: str) -> None:
    url = servers.url("cluster")

    async with Queue("{work}", redis_url=url, prefix=prefix) as queue:
        await queue.add("n")
        counts = await queue.get_counts()

    assert 1 == counts.waiting


async def test_a_plain_url_of_a_clusters_node_is_explained(servers: Servers) -> None:
    first = servers.url("cluster").removeprefix("redis+cluster://").split(",")[0]

    with pytest.raises(StoreUnavailable, match=r"must start with redis\+cluster://"):
        # The slot of this tag, 12182, is the last node's.
        async with Queue("work", redis_url=f"redis://{first}", prefix="{foo}") as queue:
            await queue.add("n")


async def test_a_cluster_url_of_a_plain_server_is_explained(valkey_url: str) -> None:
    url = valkey_url.replace("redis://", "redis+cluster://")

    with pytest.raises(StoreUnavailable, match="Cluster mode is not enabled"):
        async with Queue("work", redis_url=url, prefix="{t}") as queue:
            await queue.add("n")
    with pytest.raises(StoreUnavailable, match="Cluster mode is not enabled"):
        await asyncio.to_thread(lambda: sync.Queue("w", redis_url=url, prefix="{t}").add("n"))


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster", "redis+sentinel"])
async def test_a_server_that_is_not_there_is_unavailable(scheme: str) -> None:
    url = f"{scheme}://127.0.0.1:{free_port()}" + ("/main" if "sentinel" in scheme else "")

    with pytest.raises(StoreUnavailable):
        async with Queue("work", redis_url=url, prefix="{t}") as queue:
            await queue.add("n")
    with pytest.raises(StoreUnavailable):
        await asyncio.to_thread(lambda: sync.Queue("w", redis_url=url, prefix="{t}").add("n"))


async def test_a_master_that_the_sentinels_do_not_know_is_told(servers: Servers) -> None:
    url = servers.url("sentinel").replace("/main", "/other")

    with pytest.raises(StoreUnavailable, match="No master found for 'other'"):
        async with Queue("work", redis_url=url) as queue:
            await queue.add("n")


async def test_sentinels_and_servers_have_logins_of_their_own(
    own_trio: SentinelTrio, prefix: str
) -> None:
    own_trio.master.command("ACL", "SETUSER", "app", "on", ">s3/cret", "~*", "&*", "+@all")
    own_trio.sentinel.command("ACL", "SETUSER", "default", "resetpass", ">w@tch")
    url = own_trio.url.replace("://", "://app:s3%2Fcret@")
    listing = command(("CLIENT", "LIST"), bytes.decode)

    with pytest.raises(StoreUnavailable, match="No master found for 'main': not every Sentinel"):
        async with Queue("work", redis_url=url, prefix=prefix) as queue:
            await queue.add("n")
    url += "?sentinel_password=w%40tch"
    async with Queue("work", redis_url=url, prefix=prefix) as queue:
        await queue.add("n")
        rows = await queue._store.run_everywhere(listing)
    await asyncio.to_thread(lambda: sync.Queue("work", redis_url=url, prefix=prefix).add("n"))

    assert " user=app " in rows[0]


async def test_a_clusters_login_is_that_of_every_node(servers: Servers, prefix: str) -> None:
    store = Store(locate(servers.url("cluster"), ""))
    await store.run_everywhere(
        command(("ACL", "SETUSER", "app", "on", ">s3cret", "~*", "&*", "+@all"), bool)
    )
    await store.aclose()
    url = servers.url("cluster").replace("://", "://app:s3cret@")
    listing = command(("CLIENT", "LIST"), bytes.decode)

    async with Queue("work", redis_url=url, prefix=f"{{{prefix}}}") as queue:
        await queue.add("n")
        rows = await queue._store.run_everywhere(listing)

    assert [True, True, True] == [" user=app " in of_node for of_node in rows]


async def test_a_sentinel_is_not_taken_for_a_server(servers: Servers) -> None:
    host = servers.url("sentinel").removeprefix("redis+sentinel://").partition("/")[0]
    store = Store(locate(f"redis://{host}", ""))

    with pytest.raises(ConfigError, match=r"redis\+sentinel://"):
        await check_server(store)
    await store.aclose()


async def test_a_worker_warns_of_a_server_that_may_drop_jobs(
    own_valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with (
        running(Worker("work", _nothing, redis_url=own_valkey.url)),
        Queue("work", redis_url=own_valkey.url) as queue,
    ):
        await (await queue.add("n")).result("10s")
    before = list(caplog.messages)

    own_valkey.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    async with running(Worker("work", _nothing, redis_url=own_valkey.url)):
        await wait_until(lambda: caplog.messages, what="the warning")

    assert [] == before
    assert 1 == len(caplog.messages)
    assert "noeviction" in caplog.messages[0]


async def test_a_server_that_is_away_is_not_judged(own_valkey: ValkeyServer) -> None:
    store = Store(locate(own_valkey.url, ""))
    own_valkey.kill()

    await check_server(store)
    await store.aclose()


async def _nothing(job: JobContext) -> None: ...
