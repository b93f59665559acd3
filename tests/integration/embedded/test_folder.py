"""Who may enter the server's folder, and what may stand in the way of one."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from oxcart.embedded import EmbeddedValkey
from oxcart.errors import ConfigError

_NOBODY = 65_534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def run_as_nobody(program: str, *arguments: object) -> str:
    """Run a program that becomes another user after its imports; what it printed."""
    prelude = (
        "import encodings.idna, os, socket, sys; import oxcart.errors;"
        "from oxcart.embedded import EmbeddedValkey;"
        f"os.setgroups([]); os.setgid({_NOBODY}); os.setuid({_NOBODY})\n"
    )
    return subprocess.run(
        [sys.executable, "-c", prelude + program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    ).stdout.strip()


@pytest.fixture
def open_dir(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that every user can reach (pytest's own are private)."""
    del data_dir
    folder = Path("/tmp", f"oxcart-open-{os.getpid()}")  # noqa: S108  # that is the point
    folder.mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder)


def test_everything_in_the_folder_is_private(embedded: EmbeddedValkey, data_dir: Path) -> None:
    folder = data_dir / "valkey"
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}

    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    assert {path for path, mode in modes.items() if mode & 0o077} == set()
    assert {"server.json", "valkey.conf", "valkey.log", "valkey.sock"} < {p.name for p in modes}
    assert embedded.directory == folder


def test_folder_that_was_open_is_closed_and_the_data_folder_too(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o755)
    (data_dir / "valkey").mkdir(mode=0o755)

    with EmbeddedValkey(data_dir):
        assert stat.S_IMODE((data_dir / "valkey").stat().st_mode) == 0o700
        assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


def test_folder_keeps_itself_out_of_version_control(
    embedded: EmbeddedValkey, data_dir: Path
) -> None:
    assert (data_dir / "valkey" / ".gitignore").read_text() == "*\n"


@needs_root
def test_folder_of_another_user_is_refused(data_dir: Path) -> None:
    folder = data_dir / "valkey"
    folder.mkdir(parents=True)
    os.chown(folder, _NOBODY, _NOBODY)

    with pytest.raises(ConfigError, match=f"belongs to user {_NOBODY}.*OXCART_DATA_DIR"):
        EmbeddedValkey(data_dir).start()


@needs_root
def test_other_user_can_do_nothing_with_the_server(open_dir: Path) -> None:
    program = """
folder, port = sys.argv[1:]
for name in ("server.json", "valkey.conf", "valkey.log"):
    try: open(f"{folder}/{name}")
    except PermissionError: print("closed")
try: socket.socket(socket.AF_UNIX).connect(f"{folder}/valkey.sock")
except PermissionError: print("closed")
with socket.create_connection(("127.0.0.1", int(port))) as stranger:
    stranger.sendall(b"PING\\r\\n")
    print("closed" if stranger.recv(100).startswith(b"-NOAUTH") else "open")
"""
    with EmbeddedValkey(open_dir) as embedded:
        port = embedded.port_url.split(":")[-1].split("/")[0]

        assert run_as_nobody(program, embedded.directory, port).split() == ["closed"] * 5


def test_connection_without_the_password_is_refused(embedded: EmbeddedValkey) -> None:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(embedded.directory / "valkey.sock"))
        stranger.sendall(b"PING\r\n")

        assert stranger.recv(100).startswith(b"-NOAUTH")


@needs_root
def test_data_folder_that_cannot_be_written_is_named(open_dir: Path) -> None:
    program = """
try: EmbeddedValkey(sys.argv[1]).start()
except oxcart.errors.ConfigError as error: print(error)
"""
    said = run_as_nobody(program, open_dir / "data")

    assert "Permission denied" in said
    assert str(open_dir / "data") in said
    assert "OXCART_DATA_DIR" in said


def test_data_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match=r"file.* cannot be used"):
        EmbeddedValkey(tmp_path / "file").start()


def test_folder_that_vanished_does_not_keep_the_server(data_dir: Path) -> None:
    with EmbeddedValkey(data_dir):
        shutil.rmtree(data_dir)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("with space", id="space"),
        pytest.param("quote\"s' and #%?&", id="marks"),
        pytest.param("zażółć", id="letters"),
        pytest.param("two\nlines", id="newline"),
        pytest.param(os.fsdecode(b"no\xfftext"), id="no-text"),
    ],
)
def test_any_name_of_a_folder_will_do(data_dir: Path, name: str) -> None:
    with EmbeddedValkey(data_dir / name) as embedded, redis.Redis.from_url(embedded.url) as client:
        client.set("kept", "yes")

    with EmbeddedValkey(data_dir / name) as embedded, redis.Redis.from_url(embedded.url) as client:
        assert client.get("kept") == b"yes"


def test_data_folder_may_be_relative_and_a_link(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir.mkdir()
    (data_dir / "real").mkdir()
    (data_dir / "link").symlink_to("real")
    monkeypatch.chdir(data_dir)
    embedded = EmbeddedValkey("link")
    monkeypatch.chdir("/")

    with embedded, EmbeddedValkey(data_dir / "real") as second:
        assert second.pid == embedded.pid


def test_path_too_long_for_a_socket_leaves_the_port(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)

    with EmbeddedValkey(data_dir / ("long" * 30)) as embedded:
        assert embedded.url == embedded.port_url
        with redis.Redis.from_url(embedded.url) as client:
            assert client.ping()
        with EmbeddedValkey(embedded.directory.parent) as second:
            assert second.pid == embedded.pid


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's: pytest's own may be too long already."""
    with tempfile.TemporaryDirectory(prefix="ox") as folder:
        yield Path(folder)


@pytest.mark.parametrize(("mode", "is_used"), [(0o700, True), (0o755, False)])
def test_path_too_long_for_a_socket_uses_a_private_runtime_folder(
    data_dir: Path, short_dir: Path, monkeypatch: pytest.MonkeyPatch, mode: int, is_used: bool
) -> None:
    runtime = short_dir / "run"
    runtime.mkdir()
    runtime.chmod(mode)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))

    with EmbeddedValkey(data_dir / ("long" * 30)) as embedded:
        assert is_used == embedded.url.startswith("unix://")
        assert is_used == any(runtime.iterdir())
        with redis.Redis.from_url(embedded.url) as client:
            assert client.ping()

    assert list(runtime.iterdir()) == []


def test_socket_that_a_killed_server_left_is_replaced(data_dir: Path) -> None:
    (data_dir / "valkey").mkdir(parents=True, mode=0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(data_dir / "valkey" / "valkey.sock"))

    with EmbeddedValkey(data_dir) as embedded, redis.Redis.from_url(embedded.url) as client:
        assert client.ping()


def test_copied_folder_gets_a_server_of_its_own(embedded: EmbeddedValkey, data_dir: Path) -> None:
    with redis.Redis.from_url(embedded.url) as client:
        client.set("kept", "yes")
    copy = data_dir.with_name("data copied")
    shutil.copytree(data_dir, copy, ignore=shutil.ignore_patterns("*.sock"))

    with EmbeddedValkey(copy) as second, redis.Redis.from_url(second.url) as client:
        assert second.is_owner
        assert second.pid != embedded.pid
        assert second.port_url.split("@")[0] != embedded.port_url.split("@")[0]
        assert second.port_url.split("@")[1] != embedded.port_url.split("@")[1]
        assert client.get("kept") == b"yes"


def test_folder_put_in_the_place_of_a_running_servers_gets_its_own(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    folder = data_dir / ("long" * 30)  # no socket: the record leads to a port
    with EmbeddedValkey(folder) as first:
        shutil.copytree(folder, data_dir / "backup")
        folder.rename(data_dir / "broken")
        (data_dir / "backup").rename(folder)

        with EmbeddedValkey(folder) as second:
            assert second.is_owner
            assert first.pid != second.pid
            first.stop()

            record = json.loads((folder / "valkey" / "server.json").read_bytes())
            assert second.pid == record["pid"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"port": 1}', b"\xff"])
def test_unreadable_record_is_made_anew(data_dir: Path, content: bytes) -> None:
    with EmbeddedValkey(data_dir) as embedded, redis.Redis.from_url(embedded.url) as client:
        client.set("kept", "yes")
    record = data_dir / "valkey" / "server.json"
    record.write_bytes(content)

    with EmbeddedValkey(data_dir) as embedded, redis.Redis.from_url(embedded.url) as client:
        assert client.get("kept") == b"yes"
        assert json.loads(record.read_bytes())["pid"] == embedded.pid


def test_record_says_what_runs(embedded: EmbeddedValkey, data_dir: Path) -> None:
    record = json.loads((data_dir / "valkey" / "server.json").read_bytes())
    assert set(record) == {"directory", "port", "socket", "password", "pid", "started_at"}
    assert record["pid"] == embedded.pid

    embedded.stop()

    record = json.loads((data_dir / "valkey" / "server.json").read_bytes())
    assert record["pid"] is None
