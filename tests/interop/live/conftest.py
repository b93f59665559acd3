"""Both releases of BullMQ as processes, kept for the session and emptied after each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from tests.interop.live.node_side import NodeSide
from tests.interop.live.oxcart_side import OxcartSide
from tests.interop.live.peer import NodePeer
from tests.interop.live.runtime import RuntimeMissing, find_node, install

PACKAGES = {6: "bullmq", 5: "bullmq5"}

NewPeer = Callable[[int], NodePeer]
NodeOf = Callable[[int], NodeSide]


@pytest.fixture(scope="session")
def new_peer(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> NewPeer:
    """Start a Node process with a release of BullMQ; who starts it must end it."""
    try:
        node = find_node()
        folder = install(node)
    except RuntimeMissing as missing:
        pytest.skip(str(missing))

    def start(major: int) -> NodePeer:
        log = tmp_path_factory.mktemp("node") / "stderr.log"
        return NodePeer(node, folder, PACKAGES[major], url=valkey_url, log=log)

    return start


@pytest.fixture(scope="session")
def shared_peers(new_peer: NewPeer) -> Iterator[Callable[[int], NodePeer]]:
    """A process a release, kept for the session; no test may kill it."""
    peers: dict[int, NodePeer] = {}

    def get(major: int) -> NodePeer:
        if major not in peers or not peers[major].is_alive:
            peers[major] = new_peer(major)
        return peers[major]

    yield get
    for peer in peers.values():
        peer.close()


@pytest.fixture(params=[6, 5], ids=["bullmq6", "bullmq5"])
def major(request: pytest.FixtureRequest) -> int:
    """The release of BullMQ."""
    return int(request.param)


@pytest.fixture
async def node(
    shared_peers: Callable[[int], NodePeer], major: int, prefix: str
) -> AsyncIterator[NodeSide]:
    """The Node side of a test."""
    peer = shared_peers(major)
    yield NodeSide(peer, prefix, major)
    await _finish(peer)


@pytest.fixture
async def node_of(shared_peers: Callable[[int], NodePeer], prefix: str) -> AsyncIterator[NodeOf]:
    """The Node sides of both releases in one test, each by its number."""
    peers = {major: shared_peers(major) for major in PACKAGES}
    sides = {major: NodeSide(peer, prefix, major) for major, peer in peers.items()}
    yield sides.__getitem__
    for peer in peers.values():
        await _finish(peer)


@pytest.fixture
async def start_node(new_peer: NewPeer, prefix: str) -> AsyncIterator[NodeOf]:
    """Start Node processes of the test's own, which it may kill."""
    peers: list[NodePeer] = []

    def start(major: int) -> NodeSide:
        peers.append(new_peer(major))
        return NodeSide(peers[-1], prefix, major)

    yield start
    for peer in peers:
        peer.kill()


@pytest.fixture
async def oxcart_side(valkey_url: str, prefix: str, tmp_path: Path) -> AsyncIterator[OxcartSide]:
    """The Python side of a test."""
    async with OxcartSide(valkey_url, prefix, tmp_path) as side:
        yield side


async def _finish(peer: NodePeer) -> None:
    """Empty a shared process. What its workers reported as errors fails the test."""
    errors = peer.errors()
    await peer.reset()
    if errors:
        pytest.fail("\n".join(["errors in Node:", *errors]))
