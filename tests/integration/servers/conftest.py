from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.integration.servers.kinds import KINDS, Servers, Site
from tests.support import SentinelTrio, ValkeyCluster

from oxcart import App


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The servers of this session, started when they are first needed."""
    servers = Servers()
    yield servers
    servers.remove()


@pytest.fixture(params=sorted(KINDS))
def site(request: pytest.FixtureRequest, servers: Servers, prefix: str) -> Site:
    """Each kind of server in turn."""
    kind = request.param
    tagged = f"{{{prefix}}}" if kind == "cluster" else prefix
    return Site(kind, servers.url(kind), tagged)


@pytest.fixture
async def app(site: Site) -> AsyncIterator[App]:
    """An application without jobs yet, on each kind of server in turn."""
    async with App(site.url, prefix=site.prefix) as opened:
        yield opened


@pytest.fixture
def own_cluster() -> Iterator[ValkeyCluster]:
    """A cluster of the test's own, to be taken apart."""
    cluster = ValkeyCluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture
def own_trio() -> Iterator[SentinelTrio]:
    """A master, a replica and a Sentinel of the test's own, to be killed."""
    trio = SentinelTrio()
    try:
        trio.start()
        yield trio
    finally:
        trio.remove()
