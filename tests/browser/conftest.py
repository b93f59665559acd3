"""Bull Board on the test's own queue, whose jobs oxcart makes and runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
import redis
from tests.browser.board import QUEUE, Board
from tests.browser.board_server import BoardServer
from tests.browser.chromium import Screen, find_chromium, open_screen
from tests.browser.depot import Depot
from tests.browser.installation import install
from tests.interop.live.runtime import RuntimeMissing, find_node
from tests.partition import check_partition

from oxcart import Queue


@pytest.fixture(scope="session")
def board_server(
    valkey_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BoardServer]:
    """One Bull Board for the whole session."""
    try:
        node = find_node()
        program = install(node)
    except RuntimeMissing as missing:
        pytest.skip(str(missing))
    log = tmp_path_factory.mktemp("board") / "log"
    server = BoardServer(node.program, program, valkey_url, log)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
async def board(board_server: BoardServer, prefix: str) -> AsyncIterator[Board]:
    """The board, showing the test's queue alone."""
    async with httpx2.AsyncClient(base_url=board_server.url, timeout=30) as client:
        shown = await client.put(f"shown/{QUEUE}", params={"prefix": prefix})
        shown.raise_for_status()
        yield Board(client)
        await client.delete(f"shown/{QUEUE}")


@pytest.fixture
async def queue(valkey_url: str, prefix: str) -> AsyncIterator[Queue]:
    """The test's queue."""
    async with Queue(QUEUE, redis_url=valkey_url, prefix=prefix) as opened:
        yield opened


@pytest.fixture
def depot(valkey_url: str, prefix: str, queue: Queue) -> Depot:
    """The queue's workers."""
    return Depot(valkey_url, prefix, queue)


@pytest.fixture
async def screen(board: Board, board_server: BoardServer) -> AsyncIterator[Screen]:
    """A browser that is allowed to see the board; nothing is opened yet."""
    executable = find_chromium()
    if executable is None:
        pytest.skip("Bull Board's page needs chromium, which is not installed")
    async with open_screen(executable, board_server.url) as opened:
        yield opened


@pytest.fixture
def whole_queue(valkey: redis.Redis, prefix: str) -> Iterator[None]:
    """Whatever Bull Board did, each job is in one state afterwards."""
    yield
    check_partition(valkey, prefix, QUEUE, locks_may_be_gone=True)
