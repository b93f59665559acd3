from __future__ import annotations

import hashlib
import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from oxcart.exports.errors import ExportError
from oxcart.exports.storage import LocalStorage

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "deep" / "exports")


def names(storage: LocalStorage) -> list[str]:
    return sorted(path.name for path in storage.folder.iterdir())


def test_a_file_appears_when_it_is_published(storage: LocalStorage) -> None:
    with storage.create("c1.csv") as upload:
        upload.write(b"hello ")
        upload.write(b"world")
        assert storage.size("c1.csv") is None
        stored = upload.publish()

    assert names(storage) == ["c1.csv"]
    assert (stored.key, stored.size_bytes) == ("c1.csv", 11)
    assert stored.sha256 == hashlib.sha256(b"hello world").hexdigest()
    assert storage.size("c1.csv") == 11
    with storage.open("c1.csv") as file:
        assert file.read() == b"hello world"


def test_files_are_for_their_owner_alone(storage: LocalStorage) -> None:
    with storage.create("c1.csv") as upload:
        upload.publish()

    assert stat.S_IMODE(storage.local_path("c1.csv").stat().st_mode) == 0o600
    assert stat.S_IMODE(storage.folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", ["link", "dangling link", "folder", "pipe", "socket", "nothing"])
def test_only_a_regular_file_in_the_folder_is_opened(
    storage: LocalStorage, tmp_path: Path, kind: str
) -> None:
    outside = tmp_path / "passwords"
    outside.write_text("secret")
    storage.folder.mkdir(parents=True)
    path = storage.local_path("c1.csv")
    with socket.socket(socket.AF_UNIX) as server:
        match kind:
            case "link":
                path.symlink_to(outside)
            case "dangling link":
                path.symlink_to(tmp_path / "missing")
            case "folder":
                path.mkdir()
            case "pipe":
                os.mkfifo(path)
            case "socket":
                server.bind(str(path))

        with pytest.raises(FileNotFoundError):
            storage.open("c1.csv")
        assert storage.size("c1.csv") is None


def test_a_file_that_was_not_published_leaves_nothing(storage: LocalStorage) -> None:
    def write_and_fail() -> None:
        with storage.create("c1.csv") as upload:
            upload.write(b"x" * 1_000_000)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    with storage.create("c2.csv") as upload:
        upload.write(b"never published")

    assert names(storage) == []


def test_a_rename_that_fails_leaves_nothing_half_done(storage: LocalStorage) -> None:
    (storage.folder / "c1.csv").mkdir(parents=True)

    with storage.create("c1.csv") as upload:
        upload.write(b"written")
        with pytest.raises(IsADirectoryError):
            upload.publish()
    assert names(storage) == ["c1.csv"]


def test_publishing_again_replaces_the_file(storage: LocalStorage) -> None:
    for content in (b"first", b"second"):
        with storage.create("c1.csv") as upload:
            upload.write(content)
            upload.publish()

    assert names(storage) == ["c1.csv"]
    assert storage.local_path("c1.csv").read_bytes() == b"second"


def test_whoever_reads_while_it_is_replaced_reads_one_file_to_the_end(
    storage: LocalStorage,
) -> None:
    with storage.create("c1.csv") as upload:
        upload.write(b"first")
        upload.publish()

    with storage.open("c1.csv") as file, storage.create("c1.csv") as upload:
        upload.write(b"second")
        upload.publish()
        assert file.read() == b"first"


def test_an_overtaken_attempt_cannot_publish(storage: LocalStorage) -> None:
    """The one that began later wins, whatever the earlier one still does."""
    with storage.create("c1.csv") as overtaken:
        overtaken.write(b"old")
        with storage.create("c1.csv") as upload:
            upload.write(b"new")
            upload.publish()
        with pytest.raises(FileNotFoundError):
            overtaken.publish()

    assert names(storage) == ["c1.csv"]
    assert storage.local_path("c1.csv").read_bytes() == b"new"


def test_leftovers_go_with_the_next_attempt_at_the_same_file_only(storage: LocalStorage) -> None:
    storage.folder.mkdir(parents=True)
    for name in (".c1.csv.00aa.part", ".c1.csv.00bb.part", ".c11.csv.00cc.part"):
        (storage.folder / name).touch()

    with storage.create("c1.csv") as upload:
        upload.publish()
    assert names(storage) == [".c11.csv.00cc.part", "c1.csv"]


def test_delete_removes_file_and_leftovers_and_may_be_repeated(storage: LocalStorage) -> None:
    with storage.create("c1.csv") as upload:
        upload.publish()
    (storage.folder / ".c1.csv.00aa.part").touch()

    storage.delete("c1.csv")
    storage.delete("c1.csv")
    assert names(storage) == []
    assert storage.size("c1.csv") is None


def test_delete_before_anything_was_written_is_no_error(storage: LocalStorage) -> None:
    storage.delete("c1.csv")


@pytest.mark.parametrize(
    "key",
    ["", ".", "..", "../x.csv", "a/b.csv", "a\\b.csv", "/etc/passwd", ".hidden", "a\x00b", "a.b.c",
     "*.csv", "a\n", "x" * 300, "a.csv/"],
)  # fmt: skip
def test_keys_that_could_lead_elsewhere_are_refused(storage: LocalStorage, key: str) -> None:
    with pytest.raises(ExportError, match="cannot be the key"):
        storage.open(key)
    with pytest.raises(ExportError, match="cannot be the key"), storage.create(key):
        pass
    with pytest.raises(ExportError, match="cannot be the key"):
        storage.delete(key)


def test_a_link_in_the_place_of_the_file_is_replaced_not_followed(
    storage: LocalStorage, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"untouched")
    storage.folder.mkdir(parents=True)
    (storage.folder / "c1.csv").symlink_to(elsewhere)

    with storage.create("c1.csv") as upload:
        upload.write(b"export")
        upload.publish()
    assert elsewhere.read_bytes() == b"untouched"
    assert storage.local_path("c1.csv").read_bytes() == b"export"
