"""What one process sees of its server."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from tests.integration.embedded.processes import WARNINGS, is_running, servers_of
from tests.support import wait_until_sync

from oxcart.embedded import EmbeddedValkey, _folder, _server
from oxcart.errors import ConfigError, StoreUnavailable


def client_of(embedded: EmbeddedValkey) -> redis.Redis:
    """Each use opens and closes its own connection."""
    return redis.Redis.from_url(embedded.url, decode_responses=True)


def test_server_keeps_everything_and_drops_nothing(embedded: EmbeddedValkey) -> None:
    wanted = {
        "appendonly": "yes",
        "appendfsync": "no",  # the watcher's duty
        "aof-load-truncated": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "bind": "127.0.0.1",
        "protected-mode": "yes",
    }

    with client_of(embedded) as client:
        assert wanted == client.config_get(*wanted)


def test_both_addresses_lead_to_the_server(embedded: EmbeddedValkey) -> None:
    assert embedded.url.startswith("unix://:")
    assert embedded.port_url.startswith("redis://:")
    for url in (embedded.url, embedded.port_url):
        with redis.Redis.from_url(url) as client:
            assert embedded.pid == client.info("server")["process_id"]


def test_second_start_changes_nothing(embedded: EmbeddedValkey, data_dir: Path) -> None:
    before = embedded.pid

    embedded.start()

    assert before == embedded.pid
    assert [before] == servers_of(data_dir)


def test_threads_that_start_at_once_get_one_server(data_dir: Path) -> None:
    with EmbeddedValkey(data_dir) as embedded, ThreadPoolExecutor(8) as threads:
        for started in [threads.submit(embedded.start) for _ in range(8)]:
            started.result()

        assert [embedded.pid] == servers_of(data_dir)


def test_second_instance_joins_and_leaves_without_harm(
    embedded: EmbeddedValkey, data_dir: Path
) -> None:
    with EmbeddedValkey(data_dir) as second:
        assert (second.pid, second.url) == (embedded.pid, embedded.url)
        assert not second.is_owner

    assert embedded.is_owner
    assert is_running(embedded.pid)


def test_stop_ends_the_server_and_frees_the_folder(data_dir: Path) -> None:
    embedded = EmbeddedValkey(data_dir)
    embedded.start()
    pid = embedded.pid

    embedded.stop()
    embedded.stop()

    assert not embedded.is_owner
    assert not is_running(pid)
    assert not (data_dir / "valkey" / "valkey.sock").exists()
    with EmbeddedValkey(data_dir) as other:
        assert other.is_owner


def test_data_and_addresses_outlive_a_stop(data_dir: Path) -> None:
    with EmbeddedValkey(data_dir) as embedded, client_of(embedded) as client:
        client.set("kept", "yes")
        addresses = (embedded.url, embedded.port_url)

    with EmbeddedValkey(data_dir) as embedded, client_of(embedded) as client:
        assert client.get("kept") == "yes"
        assert addresses == (embedded.url, embedded.port_url)


def test_address_is_refused_before_start_and_after_stop(data_dir: Path) -> None:
    embedded = EmbeddedValkey(data_dir)
    with pytest.raises(ConfigError, match=r"call start\(\)"):
        _ = embedded.url

    with embedded:
        pass

    with pytest.raises(ConfigError, match=r"call start\(\)"):
        _ = embedded.pid


def test_bare_number_is_no_timeout(data_dir: Path) -> None:
    with pytest.raises(ConfigError, match="start_timeout"):
        EmbeddedValkey(data_dir, start_timeout=10)  # type: ignore[arg-type]  # that is the point


def test_ensure_restarts_a_killed_server_with_its_data_and_address(
    embedded: EmbeddedValkey,
) -> None:
    with client_of(embedded) as client:
        client.set("kept", "yes")
    first, url = embedded.pid, embedded.url
    os.kill(first, signal.SIGKILL)

    embedded.ensure()

    assert first != embedded.pid
    assert url == embedded.url
    assert embedded.is_owner
    with client_of(embedded) as client:
        assert client.get("kept") == "yes"


def test_ensure_leaves_a_healthy_server_alone(embedded: EmbeddedValkey) -> None:
    before = embedded.pid

    embedded.ensure()

    assert before == embedded.pid


def test_server_killed_while_it_rewrites_its_file_is_restarted(embedded: EmbeddedValkey) -> None:
    with client_of(embedded) as client:
        with client.pipeline(transaction=False) as pipe:
            for number in range(5_000):
                pipe.set(f"key:{number}", number)
            pipe.execute()
        client.config_set("rdb-key-save-delay", 1_000)
        client.bgrewriteaof()
        wait_until_sync(
            lambda: client.info("persistence")["aof_rewrite_in_progress"] == 1,
            what="the rewriting child runs, which holds the server's lock for a while longer",
        )
    os.kill(embedded.pid, signal.SIGKILL)

    embedded.ensure()

    with client_of(embedded) as client:
        assert client.dbsize() == 5_000


def test_port_that_somebody_took_is_replaced(data_dir: Path) -> None:
    with EmbeddedValkey(data_dir) as embedded:
        port_url = embedded.port_url
        port = int(port_url.split(":")[-1].split("/")[0])

    with (
        socket.create_server(("127.0.0.1", port)),
        EmbeddedValkey(data_dir) as embedded,
        redis.Redis.from_url(embedded.port_url) as client,
    ):
        assert port_url != embedded.port_url
        assert client.ping()


def test_port_taken_between_choice_and_start_is_replaced(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as thief:
        choices = iter([thief.getsockname()[1], thief.getsockname()[1]])
        choose = _folder._free_port
        monkeypatch.setattr(_folder, "_free_port", lambda wanted: next(choices, choose(wanted)))

        with (
            EmbeddedValkey(data_dir) as embedded,
            redis.Redis.from_url(embedded.port_url) as client,
        ):
            assert client.ping()


def test_stranger_on_the_port_is_not_told_the_password(data_dir: Path) -> None:
    with EmbeddedValkey(data_dir) as embedded:
        port = int(embedded.port_url.split(":")[-1].split("/")[0])

    with socket.create_server(("127.0.0.1", port)) as stranger:
        stranger.setblocking(False)
        with EmbeddedValkey(data_dir):
            pass
        with pytest.raises(BlockingIOError):
            stranger.accept()


def test_hanging_server_is_killed_by_stop(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_server, "_STOP_S", 0.2)
    embedded = EmbeddedValkey(data_dir)
    embedded.start()
    os.kill(embedded.pid, signal.SIGSTOP)

    embedded.stop()

    assert servers_of(data_dir) == []
    assert "embedded.killed" in caplog.messages


def test_hanging_server_is_named_and_not_replaced(data_dir: Path) -> None:
    with EmbeddedValkey(data_dir, start_timeout="200ms") as embedded:
        os.kill(embedded.pid, signal.SIGSTOP)

        with pytest.raises(StoreUnavailable, match=f"process {embedded.pid}.* did not answer"):
            EmbeddedValkey(data_dir, start_timeout="200ms").start()
        with pytest.raises(StoreUnavailable, match=f"process {embedded.pid}.* did not answer"):
            embedded.ensure()

        assert embedded.is_owner
        os.kill(embedded.pid, signal.SIGCONT)


def test_forgotten_owner_is_stopped_at_exit(data_dir: Path) -> None:
    program = (
        "import sys; from oxcart.embedded import EmbeddedValkey;EmbeddedValkey(sys.argv[1]).start()"
    )

    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, data_dir],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert servers_of(data_dir) == []


def test_fork_causes_no_warning_in_either_process(data_dir: Path) -> None:
    program = """
import gc, os, sys
from oxcart.embedded import EmbeddedValkey
owner = EmbeddedValkey(sys.argv[1])
owner.start()
if os.fork() == 0:
    owner.stop()
    del owner
    gc.collect()
    sys.exit(0)
os.wait()
owner.stop()
"""

    ended = subprocess.run(
        [sys.executable, *WARNINGS, "-c", program, data_dir],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (ended.returncode, ended.stderr)


def test_child_forked_while_a_thread_starts_the_server_is_not_stuck(data_dir: Path) -> None:
    program = """
import os, sys
from oxcart.embedded import EmbeddedValkey
server = EmbeddedValkey(sys.argv[1])
server._mutex.acquire()
if os.fork() == 0:
    server.start()
    sys.exit(0 if server.is_owner else 1)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""

    ended = subprocess.run([sys.executable, "-c", program, data_dir], timeout=30, check=False)

    assert ended.returncode == 0


def test_instances_that_nothing_refers_to_keep_the_server(data_dir: Path) -> None:
    for _ in range(2):
        EmbeddedValkey(data_dir).start()
    gc.collect()

    with EmbeddedValkey(data_dir) as third:
        assert not third.is_owner
        forgotten = [one for one in _server._active if one.directory == third.directory]
        assert [one.is_owner for one in forgotten].count(True) == 1
    for one in sorted(forgotten, key=lambda each: each.is_owner):
        one.stop()
    assert servers_of(data_dir) == []


def test_password_is_not_shown(
    data_dir: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    with EmbeddedValkey(data_dir) as embedded:
        password = embedded.port_url.split(":")[2].split("@")[0]
        shown = [repr(embedded), repr(embedded._found), caplog.text]

    assert len(password) > 40
    assert not any(password in text for text in shown)


def test_locale_of_the_machine_does_not_matter(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "xx_XX.no-such-charset")

    with EmbeddedValkey(data_dir) as embedded, client_of(embedded) as client:
        assert client.ping()


def test_frozen_application_starts_nothing_of_its_own_program(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)

    with EmbeddedValkey(data_dir) as embedded, client_of(embedded) as client:
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}
        assert embedded._watcher._process is None
