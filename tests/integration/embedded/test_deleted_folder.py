"""The folder is deleted while the server runs: the data are saved, or writes are refused."""

from __future__ import annotations

import logging
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from tests.integration.embedded.processes import Program, is_running, servers_of
from tests.integration.embedded.test_many_processes import watchers_of
from tests.support import wait_until_sync

from oxcart.embedded import EmbeddedValkey

NewProgram = Callable[..., Program]


def keys_of(embedded: EmbeddedValkey) -> set[bytes]:
    with redis.Redis.from_url(embedded.url) as client:
        return set(client.scan_iter())


def asides_of(data_dir: Path) -> list[Path]:
    return list(data_dir.glob("valkey-saved-*"))


def test_data_are_on_disk_again(
    embedded: EmbeddedValkey, data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first, addresses = embedded.pid, (embedded.url, embedded.port_url)
    with redis.Redis.from_url(embedded.url) as client:
        client.set("before", 1)
        shutil.rmtree(data_dir)
        client.set("after", 1)

    wait_until_sync(
        lambda: embedded.pid != first and keys_of(embedded) == {b"before", b"after"},
        what="a server in the new folder has the data",
    )

    assert addresses == (embedded.url, embedded.port_url)
    assert not is_running(first)
    assert asides_of(data_dir) == []
    assert [one.levelname for one in caplog.records if one.message == "embedded.folder_gone"] == [
        "ERROR"
    ]
    assert "embedded.folder_restored" in caplog.messages
    # They are on disk, not in memory only.
    os.kill(embedded.pid, signal.SIGKILL)
    embedded.ensure()
    assert keys_of(embedded) == {b"before", b"after"}


def test_data_are_on_disk_again_when_only_the_files_were_deleted(
    embedded: EmbeddedValkey, data_dir: Path
) -> None:
    first = embedded.pid
    with redis.Redis.from_url(embedded.url) as client:
        client.set("before", 1)
    shutil.rmtree(data_dir / "valkey" / "appendonlydir")

    wait_until_sync(
        lambda: embedded.pid != first and keys_of(embedded) == {b"before"},
        what="a new server has the data",
    )

    assert embedded.is_owner


def test_no_acknowledged_write_is_lost(data_dir: Path, new_program: NewProgram) -> None:
    owner, writer = new_program(watch_interval_s=0.5), new_program(watch_interval_s=0.5)
    owner.ask("start")
    writer.ask("start")
    writer.tell("push", 10_000_000)
    with redis.Redis.from_url(owner.ask("start")["url"]) as client:
        wait_until_sync(lambda: client.llen("pushed") > 2_000, what="the writer is under way")

        shutil.rmtree(data_dir)

        acknowledged = writer.hear()
    after = writer.ask("ensure")
    with redis.Redis.from_url(after["url"]) as client:
        # The server may have done one more, whose answer it could not give.
        assert client.llen("pushed") in {acknowledged, acknowledged + 1}
    assert owner.ask("ensure")["pid"] == after["pid"]
    assert [after["pid"]] == servers_of(data_dir)
    writer.leave()
    owner.leave()
    wait_until_sync(lambda: not watchers_of(data_dir), what="the watchers see that it ended")


def test_joined_process_saves_the_data_of_an_owner_that_is_stopped(
    data_dir: Path, new_program: NewProgram
) -> None:
    owner = new_program(watch_interval_s=0.5)
    before = owner.ask("start")
    owner.ask("push", 100)
    with EmbeddedValkey(data_dir) as joiner:
        owner.freeze()
        shutil.rmtree(data_dir)

        wait_until_sync(lambda: joiner.is_owner and joiner.pid != before["pid"], what="it is saved")

        with redis.Redis.from_url(joiner.url) as client:
            assert client.llen("pushed") == 100
        owner.kill()
    wait_until_sync(lambda: not watchers_of(data_dir), what="the watchers see that it ended")


def test_data_are_kept_aside_if_the_new_folder_has_a_server(
    data_dir: Path, new_program: NewProgram
) -> None:
    owner = new_program(watch_interval_s=0.5)
    before = owner.ask("start")
    owner.ask("push", 100)
    owner.freeze()
    shutil.rmtree(data_dir)
    with EmbeddedValkey(data_dir) as other:
        assert other.pid != before["pid"]

        owner.thaw()

        wait_until_sync(lambda: not is_running(before["pid"]), what="the old server is ended")
        after = owner.ask("ensure")
        assert (after["pid"], after["is_owner"]) == (other.pid, False)
        (aside,) = asides_of(data_dir)
        owner.leave()
    # What was kept aside can be read by a server.
    shutil.rmtree(data_dir / "valkey" / "appendonlydir")
    (aside / "appendonlydir").rename(data_dir / "valkey" / "appendonlydir")
    with EmbeddedValkey(data_dir) as again, redis.Redis.from_url(again.url) as client:
        assert client.llen("pushed") == 100


def test_writes_are_refused_while_the_data_cannot_be_saved(
    embedded: EmbeddedValkey, data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = embedded.pid
    with redis.Redis.from_url(embedded.url) as client:
        client.set("before", 1)
        shutil.rmtree(data_dir)
        data_dir.write_text("in the way")

        wait_until_sync(lambda: "embedded.writes_refused" in caplog.messages, what="it is logged")

        with pytest.raises(redis.ResponseError, match="NOREPLICAS"):
            client.set("after", 1)
        assert client.get("before") == b"1"

    data_dir.unlink()
    wait_until_sync(
        lambda: embedded.pid != first and keys_of(embedded) == {b"before"},
        what="the data are saved when that is possible",
    )
    with redis.Redis.from_url(embedded.url) as client:
        assert client.set("after", 1)
    assert caplog.messages.count("embedded.writes_refused") == 1


def test_killed_owner_of_a_deleted_folder_leaves_no_server(
    data_dir: Path, new_program: NewProgram
) -> None:
    owner = new_program(watch_interval_s=0.5)
    server = owner.ask("start")["pid"]
    owner.freeze()
    shutil.rmtree(data_dir)

    owner.kill()

    wait_until_sync(
        lambda: not is_running(server) and not watchers_of(data_dir),
        what="server and watcher are gone",
    )
