"""The watcher's first duty: what the server wrote comes to disk."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from tests.integration.embedded.processes import processes_naming
from tests.support import wait_until_sync

from oxcart.embedded import EmbeddedValkey, _watch


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were flushed."""
    names: list[str] = []
    really = _watch.flush

    def flush(path: Path) -> None:
        really(path)
        names.append(path.name)

    monkeypatch.setattr(_watch, "flush", flush)
    return names


@pytest.fixture
def owner_pipe() -> Iterator[tuple[int, int]]:
    """The pipe that ends with the owner: what the watcher reads, what the owner holds."""
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)


def test_only_files_that_grew_are_flushed(
    embedded: EmbeddedValkey, data_dir: Path, flushed: list[str]
) -> None:
    syncer = _watch.Syncer(data_dir / "valkey" / "appendonlydir")
    with redis.Redis.from_url(embedded.url) as client:
        client.set("one", 1)
        assert syncer.sync() == ["appendonly.aof.1.incr.aof"]
        assert syncer.sync() == []
        client.set("two", 2)
        assert syncer.sync() == ["appendonly.aof.1.incr.aof"]
    assert flushed == ["appendonly.aof.1.incr.aof"] * 2


def test_old_and_new_file_are_flushed_while_the_server_rewrites(
    embedded: EmbeddedValkey, data_dir: Path
) -> None:
    syncer = _watch.Syncer(data_dir / "valkey" / "appendonlydir")
    with redis.Redis.from_url(embedded.url) as client:
        client.mset({f"key:{number}": number for number in range(1_000)})
        client.config_set("rdb-key-save-delay", 10_000)
        client.bgrewriteaof()
        client.set("more", 1)
        wait_until_sync(
            lambda: client.info("persistence")["aof_rewrite_in_progress"] == 1,
            what="the server rewrites",
        )

        assert sorted(syncer.sync()) == ["appendonly.aof.1.incr.aof", "appendonly.aof.2.incr.aof"]


def test_folder_that_is_not_there_yet_is_nothing_to_flush(tmp_path: Path) -> None:
    assert _watch.Syncer(tmp_path / "appendonlydir").sync() == []


def test_watcher_flushes_while_its_owner_lives_and_after(
    embedded: EmbeddedValkey,
    data_dir: Path,
    flushed: list[str],
    owner_pipe: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_watch, "_SYNC_S", 0.01)
    reader, writer = owner_pipe
    # Everybody is somebody else's watcher here: the locks say that the server has an owner.
    folder = data_dir / "valkey"
    server = _watch.Server(folder, _watch.identity_of(folder), embedded.pid)
    watcher = threading.Thread(target=_watch.watch, args=(reader, server, 0.5))
    watcher.start()
    with redis.Redis.from_url(embedded.url) as client:
        wait_until_sync(lambda: flushed != [], what="the file that was there is flushed")
        client.set("one", 1)
        wait_until_sync(lambda: len(flushed) > 1, what="a write is flushed")

        os.close(writer)
        client.set("two", 2)
        wait_until_sync(lambda: len(flushed) > 2, what="a write after the owner's end is flushed")

    watcher.join()


def test_watcher_that_died_is_replaced(embedded: EmbeddedValkey, data_dir: Path) -> None:
    def watchers() -> set[int]:
        named = processes_naming(data_dir).items()
        return {pid for pid, command in named if "_watch.py" in command}

    (first,) = watchers()

    os.kill(first, signal.SIGKILL)

    wait_until_sync(lambda: bool(watchers() - {first}), what="there is a new one")
    assert embedded.is_owner
