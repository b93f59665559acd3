"""Damaged and big append-only files: the server starts with the data or says why it does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import redis
from tests.integration.embedded.processes import processes_naming

from oxcart.embedded import EmbeddedValkey, _launch
from oxcart.errors import StoreUnavailable


@pytest.fixture
def append_only(data_dir: Path) -> Path:
    """The append-only files of a server that stored a hundred keys and stopped."""
    with EmbeddedValkey(data_dir) as embedded, redis.Redis.from_url(embedded.url) as client:
        for number in range(100):
            client.set(f"key:{number}", number)
    return data_dir / "valkey" / "appendonlydir"


def key_count(data_dir: Path) -> int:
    with EmbeddedValkey(data_dir) as embedded, redis.Redis.from_url(embedded.url) as client:
        return int(client.dbsize())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_tail_that_was_cut_short_costs_only_itself(append_only: Path, data_dir: Path) -> None:
    (file,) = append_only.glob("*.incr.aof")
    os.truncate(file, file.stat().st_size - 7)

    assert key_count(data_dir) == 99


@pytest.mark.parametrize("damage", ["tail", "middle", "all"])
def test_garbage_is_refused_and_nothing_changed(
    append_only: Path, data_dir: Path, damage: str
) -> None:
    (file,) = append_only.glob("*.incr.aof")
    good = file.read_bytes()
    half = len(good) // 2
    bad = {
        "tail": good + b"garbage\r\n",
        "middle": good[:half] + b"\x00" * 64 + good[half:],
        "all": os.urandom(4096),
    }
    file.write_bytes(bad[damage])
    before = contents(append_only)
    embedded = EmbeddedValkey(data_dir)

    with pytest.raises(StoreUnavailable, match="nothing was changed") as caught:
        embedded.start()

    assert str(append_only) in str(caught.value)
    assert "Bad file format" in str(caught.value)
    assert before == contents(append_only)
    assert not embedded.is_owner
    assert processes_naming(data_dir) == {}

    file.write_bytes(good)
    assert key_count(data_dir) == 100


def test_garbage_in_the_base_is_refused(append_only: Path, data_dir: Path) -> None:
    (file,) = append_only.glob("*.base.rdb")
    file.write_bytes(b"garbage")

    with pytest.raises(StoreUnavailable, match="cannot read its data"):
        EmbeddedValkey(data_dir).start()


def test_listed_file_that_is_missing_is_refused(append_only: Path, data_dir: Path) -> None:
    (file,) = append_only.glob("*.incr.aof")
    file.unlink()

    with pytest.raises(StoreUnavailable, match="cannot read its data"):
        EmbeddedValkey(data_dir).start()


def test_lost_list_of_files_is_refused_instead_of_starting_empty(
    append_only: Path, data_dir: Path
) -> None:
    (append_only / "appendonly.aof.manifest").unlink()
    embedded = EmbeddedValkey(data_dir)

    with pytest.raises(StoreUnavailable, match=r"incr.aof.* would start empty"):
        embedded.start()

    assert not embedded.is_owner
    assert not embedded._server_lock.is_held


def test_server_that_was_killed_in_its_first_moment_is_no_lost_data(data_dir: Path) -> None:
    with EmbeddedValkey(data_dir):
        pass
    (data_dir / "valkey" / "appendonlydir" / "appendonly.aof.manifest").unlink()

    assert key_count(data_dir) == 0


def test_server_that_is_loading_is_waited_for(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        EmbeddedValkey(data_dir) as embedded,
        redis.Redis.from_url(embedded.url) as client,
        client.pipeline(transaction=False) as pipe,
    ):
        for number in range(10_000):
            pipe.set(f"key:{number}", number)
        pipe.execute()
    plain = _launch._configuration
    slow = b"key-load-delay 150\n"
    monkeypatch.setattr(_launch, "_configuration", lambda *which: plain(*which) + slow)

    # Ten thousand keys take 1.5 seconds and more; a silent server is given half a second.
    with (
        EmbeddedValkey(data_dir, start_timeout="500ms") as embedded,
        redis.Redis.from_url(embedded.url) as client,
    ):
        assert client.dbsize() == 10_000
        assert client.info("server")["uptime_in_seconds"] >= 1


def test_server_that_never_answers_is_ended(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\necho I say nothing more\nexec sleep 600\n")
    silent.chmod(0o700)
    monkeypatch.setattr(_launch, "find_binary", lambda: silent)
    embedded = EmbeddedValkey(data_dir, start_timeout="200ms")

    with pytest.raises(StoreUnavailable, match=r"(?s)did not get ready.*I say nothing more"):
        embedded.start()

    assert not embedded.is_owner
    monkeypatch.undo()
    assert key_count(data_dir) == 0


@pytest.mark.parametrize(
    ("script", "said"),
    [
        pytest.param("kill -9 $$", "killed by signal 9.*data is untouched", id="killed"),
        pytest.param("echo No space left on device; exit 1", "disk is full", id="disk"),
        pytest.param("echo what is this; exit 3", "exit code 3.*\n*what is this", id="else"),
    ],
)
def test_server_that_ends_at_once_is_explained(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    ending = tmp_path / "ending"
    ending.write_text(f"#!/bin/sh\n{script}\n")
    ending.chmod(0o700)
    monkeypatch.setattr(_launch, "find_binary", lambda: ending)

    with pytest.raises(StoreUnavailable, match=f"(?s){said}"):
        EmbeddedValkey(data_dir).start()


def test_long_log_is_put_aside(data_dir: Path) -> None:
    with EmbeddedValkey(data_dir):
        pass
    log = data_dir / "valkey" / "valkey.log"
    log.write_bytes(b"x" * 2_000_000)

    with EmbeddedValkey(data_dir):
        assert log.stat().st_size < 100_000
        assert (data_dir / "valkey" / "valkey.log.1").stat().st_size == 2_000_000
