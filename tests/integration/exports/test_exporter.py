from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, func, insert, select, update
from tests.integration.database.rows import NOON, insert_user, user_row
from tests.integration.exports.doubles import WatchingObserver, file_names, order

from oxcart.database import Database, Role
from oxcart.database.tables import (
    bookmark,
    notification,
    referral,
    uni_page,
    university,
    user,
    wiki_revision,
)
from oxcart.exports import exporter as exporter_module
from oxcart.exports.datasets import dataset_of
from oxcart.exports.errors import (
    BadFilter,
    ExportForbidden,
    ExportIncomplete,
    UnknownExportType,
    UnknownFilter,
)
from oxcart.exports.exporter import Exporter
from oxcart.exports.writers.guard import guarded

if TYPE_CHECKING:
    from oxcart.exports.storage import LocalStorage

SECRET_COLUMNS = {"password", "verificationToken", "failedLoginAttempts", "lockedUntil"}


def read_csv(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def run(database: Database, storage: LocalStorage, *args: Any, **kwargs: Any) -> bytes:
    """Run an export and return its file."""
    result = Exporter(database, storage).run(order(*args, **kwargs), WatchingObserver())
    data = storage.local_path(result.file.key).read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (
        result.file.size_bytes,
        result.file.sha256,
    )
    return data


def count(database: Database, *conditions: Any, of: Any = user) -> int:
    with database.snapshot() as connection:
        return connection.execute(
            select(func.count()).select_from(of).where(*conditions)
        ).scalar_one()


def test_members_are_all_there_in_order(club: Database, storage: LocalStorage) -> None:
    rows = read_csv(run(club, storage, "MEMBERS"))

    with club.snapshot() as connection:
        expected = connection.execute(
            select(user, university.c.name.label("university"))
            .outerjoin(university, user.c.universityId == university.c.id)
            .order_by(user.c.id)
        ).all()
    assert len(rows) == len(expected) == 1_200
    for row, member in zip(rows, expected, strict=True):
        assert row == {
            "id": member.id,
            "email": guarded(member.email),
            "name": guarded(member.name or ""),
            "role": member.role.value,
            "university": guarded(member.university or ""),
            "powerScore": str(member.powerScore),
            "createdAt": f"{member.createdAt:%Y-%m-%dT%H:%M:%S}.000Z",
        }
    assert {"'=HYPERLINK", "'@lice"} <= {row["name"][:11] for row in rows}


def test_members_are_filtered(club: Database, storage: LocalStorage) -> None:
    wanted = count(club, user.c.role == Role.STAFF)

    rows = read_csv(run(club, storage, "MEMBERS", role="STAFF"))
    assert {row["role"] for row in rows} == {"STAFF"}
    assert len(rows) == wanted > 1


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"email": "admin@cofactor.example"}, ["user_admin"]),
        ({"name": "=Penny Pending"}, ["user_pending"]),
        ({"id": "user_staff", "role": "STAFF"}, ["user_staff"]),
        ({"id": "user_staff", "role": "ADMIN"}, []),
        ({"name": "' OR 1=1 --"}, []),
    ],
)
def test_filters_are_values_and_all_of_them_count(
    club: Database, storage: LocalStorage, filters: dict[str, Any], expected: list[str]
) -> None:
    rows = read_csv(run(club, storage, "MEMBERS", **filters))
    assert [row["id"] for row in rows] == expected


def test_null_as_a_filter_finds_those_without(club: Database, storage: LocalStorage) -> None:
    with club.write_sync() as connection:
        connection.execute(update(user).where(user.c.id == "user_staff").values(universityId=None))

    rows = read_csv(run(club, storage, "MEMBERS", universityId=None))
    assert [(row["id"], row["university"]) for row in rows] == [("user_staff", "")]


def test_student_gets_published_pages_and_staff_all(club: Database, storage: LocalStorage) -> None:
    published = count(club, uni_page.c.published, of=uni_page)

    for_student = read_csv(run(club, storage, "WIKI_PAGES", user_id="user_student"))
    for_staff = read_csv(run(club, storage, "WIKI_PAGES", user_id="user_staff"))
    drafts = read_csv(run(club, storage, "WIKI_PAGES", user_id="user_staff", published=False))

    assert len(for_student) == published < len(for_staff) == 250
    assert {row["published"] for row in for_student} == {"true"}
    assert len(drafts) == 250 - published
    assert set(for_staff[0]) >= {"university", "institute", "keywords", "content"}
    assert isinstance(json.loads(for_staff[0]["keywords"]), list)


def test_pages_of_a_university_with_names(club: Database, storage: LocalStorage) -> None:
    with club.snapshot() as connection:
        chosen = connection.execute(
            select(university.c.id, university.c.name).order_by(university.c.id).limit(1)
        ).one()

    rows = read_csv(run(club, storage, "WIKI_PAGES", universityId=chosen.id))
    assert len(rows) == count(club, uni_page.c.universityId == chosen.id, of=uni_page) > 0
    assert {row["university"] for row in rows} == {chosen.name}


def test_user_data_holds_everything_on_the_user_and_no_secret(
    club: Database, storage: LocalStorage
) -> None:
    data = run(club, storage, "USER_DATA", user_id="user_student")

    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    manifest = json.loads(archive.read("manifest.json"))
    assert manifest["subject"] == {"userId": "user_student"}
    expected = {
        "user.csv": 1,
        "revisions.csv": count(club, wiki_revision.c.authorId == "user_student", of=wiki_revision),
        "referrals.csv": count(club, referral.c.referrerId == "user_student", of=referral),
        "notifications.csv": count(club, notification.c.userId == "user_student", of=notification),
        "bookmarks.csv": count(club, bookmark.c.userId == "user_student", of=bookmark),
    }
    assert {entry["path"]: entry["rows"] for entry in manifest["files"]} == expected
    for entry in manifest["files"]:
        content = archive.read(entry["path"])
        rows = read_csv(content)
        assert len(rows) == entry["rows"]
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        assert not SECRET_COLUMNS & set(content.decode().splitlines()[0].split(","))
    assert b"$2b$" not in archive.read("user.csv")
    assert read_csv(archive.read("user.csv"))[0]["email"] == "student@cofactor.example"


def test_notifications_are_not_cut_at_a_hundred(database: Database, storage: LocalStorage) -> None:
    with database.write_sync() as connection:
        connection.execute(user.insert(), [user_row()])
        connection.execute(
            insert(notification),
            [
                {"id": f"n{number:05}", "userId": "user_1", "type": "SYSTEM", "title": "t",
                 "message": "m", "createdAt": NOON}
                for number in range(2_500)
            ],
        )  # fmt: skip

    archive = zipfile.ZipFile(io.BytesIO(run(database, storage, "USER_DATA", user_id="user_1")))
    rows = read_csv(archive.read("notifications.csv"))
    assert [row["id"] for row in rows] == [f"n{number:05}" for number in range(2_500)]


def test_analytics_counts_what_the_user_did(club: Database, storage: LocalStorage) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    summary = json.loads(run(club, storage, "ANALYTICS", user_id="user_student"))

    assert datetime.fromisoformat(summary.pop("exportedAt")) >= before
    assert summary == {
        "type": "ANALYTICS",
        "userId": "user_student",
        "revisions": count(club, wiki_revision.c.authorId == "user_student", of=wiki_revision),
        "referrals": count(club, referral.c.referrerId == "user_student", of=referral),
        "notifications": count(club, notification.c.userId == "user_student", of=notification),
    }
    assert summary["revisions"] > 1


HOSTILE = [
    "=1+1",
    "\t=1",
    "\r\n=1",
    "  @x",
    '"quoted", with comma',
    "line one\nline two\r\nline three",
    "🧬🇩🇪 combining é",
    "-",
    "'already",
    "\\N",
    "null",
    ";=1|2",
    "ﬀ\u202eright-to-left",
]


async def test_hostile_texts_come_back_guarded_and_whole(
    database: Database, storage: LocalStorage
) -> None:
    await insert_user(database, "user_admin", role=Role.ADMIN, name="Admin")
    for number, text in enumerate(HOSTILE):
        await insert_user(database, f"v{number:02}", name=text)

    rows = read_csv(run(database, storage, "MEMBERS"))
    assert [row["name"] for row in rows[1:]] == [guarded(text) for text in HOSTILE]


def test_role_that_oxcart_does_not_know_is_carried_through(
    postgres_url: str, storage: LocalStorage
) -> None:
    """The application's enum may grow; it grew by one here."""
    import psycopg  # only this test speaks to PostgreSQL directly

    from oxcart.database.migrations.runner import upgrade  # as above

    database = Database(postgres_url)
    with database.write_sync() as connection:
        upgrade(connection)
        connection.execute(user.insert(), [user_row("user_admin", role=Role.ADMIN)])
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("""ALTER TYPE "Role" ADD VALUE 'ALUMNI'""")
        other.execute(
            'INSERT INTO "User" (id, email, role, "referralCode", "updatedAt") '
            "VALUES ('z', 'z@example.org', 'ALUMNI', 'z', now())"
        )

    rows = read_csv(run(database, storage, "MEMBERS"))
    database.close()
    assert [row["role"] for row in rows] == ["ADMIN", "ALUMNI"]


@pytest.mark.parametrize(
    ("user_id", "type_", "filters", "error"),
    [
        ("user_student", "MEMBERS", {}, ExportForbidden),
        ("user_pending", "MEMBERS", {}, ExportForbidden),
        ("user_student", "WIKI_PAGES", {"published": False}, ExportForbidden),
        ("nobody", "ANALYTICS", {}, ExportForbidden),
        ("user_admin", "MEMBERS", {"password": "x"}, UnknownFilter),
        ("user_admin", "MEMBERS", {"role": "KING"}, BadFilter),
        ("user_admin", "EVERYTHING", {}, UnknownExportType),
    ],
)
def test_what_was_refused_at_the_request_is_refused_in_the_worker(
    club: Database,
    storage: LocalStorage,
    user_id: str,
    type_: str,
    filters: dict[str, Any],
    error: type[Exception],
) -> None:
    with pytest.raises(error):
        run(club, storage, type_, user_id=user_id, **filters)
    assert file_names(storage) == []


def test_rights_that_are_gone_since_the_request_are_gone(
    club: Database, storage: LocalStorage
) -> None:
    run(club, storage, "MEMBERS", user_id="user_staff")
    with club.write_sync() as connection:
        connection.execute(update(user).where(user.c.id == "user_staff").values(role=Role.STUDENT))

    with pytest.raises(ExportForbidden):
        run(club, storage, "MEMBERS", user_id="user_staff")


def test_the_file_shows_one_instant(club: Database, storage: LocalStorage) -> None:
    """Rows that go and come while the export runs change nothing in it."""

    def interfere(check: int) -> None:
        if check == 2:  # at the first batch
            with club.write_sync() as connection:
                connection.execute(delete(user).where(user.c.id > "user_"))
                connection.execute(user.insert(), [user_row("zz_new")])

    ids = {row["id"] for row in read_csv(run(club, storage, "MEMBERS"))}
    observer = WatchingObserver(on_check=interfere)
    result = Exporter(club, storage).run(order("MEMBERS"), observer)

    rows = read_csv(storage.local_path(result.file.key).read_bytes())
    assert {row["id"] for row in rows} == ids
    assert count(club, user.c.id == "zz_new") == 1


def test_progress_counts_rows_and_reaches_100_with_the_file(
    club: Database, storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter_module, "PROGRESS_SECONDS", 0)
    observer = WatchingObserver()
    Exporter(club, storage).run(order("MEMBERS"), observer)

    seen = [(p.phase, p.percent, p.rows, p.total) for p in observer.progress]
    assert seen == [
        ("counting", 0, 0, 0),
        ("writing", 83, 1_000, 1_200),
        ("writing", 99, 1_200, 1_200),
        ("publishing", 99, 1_200, 1_200),
        ("done", 100, 1_200, 1_200),
    ]


def test_progress_is_not_reported_at_every_batch(club: Database, storage: LocalStorage) -> None:
    observer = WatchingObserver()
    Exporter(club, storage).run(order("WIKI_PAGES"), observer)

    assert observer.checks >= 4
    assert len(observer.progress) <= 4


@pytest.mark.parametrize("fail_at", [1, 2, 3, 4])
def test_an_export_stopped_at_any_check_leaves_no_file(
    club: Database, storage: LocalStorage, fail_at: int
) -> None:
    """The checks: before the start, at two batches, and before publishing."""
    with pytest.raises(RuntimeError, match="stopped"):
        Exporter(club, storage).run(order("MEMBERS"), WatchingObserver(fail_at=fail_at))
    assert file_names(storage) == []


def test_a_stopped_attempt_leaves_the_earlier_file(club: Database, storage: LocalStorage) -> None:
    data = run(club, storage, "MEMBERS")

    with pytest.raises(RuntimeError):
        Exporter(club, storage).run(order("MEMBERS"), WatchingObserver(fail_at=4))
    assert file_names(storage) == ["cexport1.csv"]
    assert storage.local_path("cexport1.csv").read_bytes() == data


def test_a_repeated_export_replaces_its_file(club: Database, storage: LocalStorage) -> None:
    run(club, storage, "MEMBERS")
    with club.write_sync() as connection:
        connection.execute(user.insert(), [user_row("zz_new")])

    data = run(club, storage, "MEMBERS")
    assert file_names(storage) == ["cexport1.csv"]
    assert read_csv(data)[-1]["id"] == "zz_new"


def test_fewer_rows_than_counted_is_a_failure(
    club: Database, storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing here can lose rows; should something ever, the file must not pass for whole."""
    real = dataset_of("MEMBERS").parts[0]
    monkeypatch.setattr(type(real), "count", lambda *_: select(func.count() + 1).select_from(user))

    with pytest.raises(ExportIncomplete, match="1200 rows were written where 1201"):
        run(club, storage, "MEMBERS")
    assert file_names(storage) == []
