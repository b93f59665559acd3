"""Whatever makes the data folder, and whatever the umask is: nobody else may read what is in it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from tests.integration.http.running import (
    ADA,
    acting_for,
    add_users,
    connected,
    until_finished,
    working,
)
from tests.support import wait_until

from oxcart._private_files import make_private_file, make_private_folder, tighten_data_folder
from oxcart.database import Database
from oxcart.embedded import EmbeddedValkey
from oxcart.exports import LocalStorage, signing_secret
from oxcart.mail.mailbox import DevelopmentMailbox
from oxcart.settings import Settings
from oxcart.system import open_system

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """The umask of most machines: everybody may read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    return tmp_path / "app" / ".oxcart"


def modes(folder: Path) -> dict[str, int]:
    """The modes of a folder and of all that is in it, by path."""
    paths = [folder, *folder.rglob("*")]
    return {
        str(path.relative_to(folder.parent)): stat.S_IMODE(path.lstat().st_mode)
        for path in paths
        if not path.is_symlink()
    }


def open_to_others(folder: Path) -> list[str]:
    return [path for path, mode in modes(folder).items() if mode & 0o077]


async def test_everything_that_a_running_system_writes_is_private(
    data: Path, valkey_url: str, prefix: str
) -> None:
    """With a server of its own, so that no private Valkey makes the folder."""
    settings = Settings(
        env="development",
        data_dir=data,
        redis_url=valkey_url,
        prefix=prefix,
        service_keys=("service-key-0123456789",),
    )
    async with open_system(settings) as system:
        await add_users(system.database)
        await system.mailer.send_welcome_email("ann@example.org", "Ann")
        async with working(system), connected(system, acting_for(ADA)) as ada:
            asked = await ada.post("/api/exports", json={"type": "USER_DATA"})
            await until_finished(ada, asked.json()["exportJob"]["id"])
            mails = data / "mailbox"
            await wait_until(lambda: any(mails.glob("*.eml")), within=10, what="the mail")
        found = modes(data)

    assert open_to_others(data) == []
    assert {name.rsplit(".", 1)[-1] for name in found} >= {"eml", "zip", "db", "db-wal", "db-shm"}
    assert ".oxcart/signing-secret" in found


@pytest.mark.parametrize("first", ["database", "secret", "mailbox", "storage", "valkey"])
async def test_folder_is_private_whichever_part_makes_it(data: Path, first: str) -> None:
    settings = Settings(data_dir=data)
    if first == "database":
        async with Database.from_settings(settings) as database:
            await database.ping()
    elif first == "secret":
        signing_secret(settings)
    elif first == "mailbox":
        async with DevelopmentMailbox(data / "mailbox"):
            pass
    elif first == "storage":
        with LocalStorage(data / "exports").create("c1.csv") as upload:
            upload.publish()
    else:
        with EmbeddedValkey(data):
            pass

    assert modes(data)[".oxcart"] == 0o700
    assert open_to_others(data) == []


def make_wide(data: Path) -> None:
    """A data folder as earlier versions made it."""
    for name in (
        "oxcart.db",
        "oxcart.db-wal",
        "mailbox/1.eml",
        "demo/mailbox/2.eml",
        "exports/c.csv",
    ):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text("personal data")


@pytest.mark.parametrize("opened_by", ["system", "database", "valkey"])
async def test_folder_of_an_earlier_version_is_tightened(
    data: Path, valkey_url: str, opened_by: str, caplog: pytest.LogCaptureFixture
) -> None:
    make_wide(data)
    (data / "oxcart.db").unlink()
    (data / "oxcart.db-wal").unlink()
    assert open_to_others(data)
    settings = Settings(data_dir=data, redis_url=valkey_url)

    if opened_by == "system":
        async with open_system(settings):
            pass
    elif opened_by == "database":
        Database.from_settings(settings)
    else:
        with EmbeddedValkey(data):
            pass

    assert open_to_others(data) == []
    told = [one for one in caplog.records if one.getMessage() == "data_folder.tightened"]
    assert [one.__dict__["mode"] for one in told] == ["0755"]


def test_folder_that_holds_other_things_keeps_its_mode_and_theirs(
    data: Path, tmp_path: Path
) -> None:
    make_wide(data)
    outside = tmp_path / "outside.txt"
    outside.write_text("someone else's")
    (data / "mailbox" / "link").symlink_to(outside)
    (data / "README").write_text("of the project")

    tighten_data_folder(data)

    assert open_to_others(data) == [".oxcart", ".oxcart/README"]
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644


def test_folder_for_everybody_and_one_that_is_not_there_are_left_alone(tmp_path: Path) -> None:
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)

    tighten_data_folder(shared)
    tighten_data_folder(tmp_path / "missing")

    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777
    assert not (tmp_path / "missing").exists()


def test_database_elsewhere_loses_the_rights_of_everybody_and_keeps_its_groups(
    tmp_path: Path,
) -> None:
    path = tmp_path / "new" / "club.db"
    make_private_folder(path.parent)
    make_private_file(path)
    assert modes(path.parent) == {"new": 0o700, "new/club.db": 0o600}
    path.chmod(0o664)
    wal = path.with_name("club.db-wal")
    wal.touch(mode=0o644)

    make_private_file(path, companions=["-wal", "-shm"])

    assert modes(path.parent) == {"new": 0o700, "new/club.db": 0o660, "new/club.db-wal": 0o640}
