from __future__ import annotations

from typing import Any

import pytest

from oxcart.database import ExportType, User
from oxcart.database.tables import metadata
from oxcart.exports.datasets import ANALYTICS, DATASETS, MEMBERS, USER_DATA, WIKI_PAGES, dataset_of
from oxcart.exports.errors import BadFilter, ExportForbidden, UnknownExportType, UnknownFilter

SECRETS = {
    "password",
    "verificationToken",
    "verificationExpires",
    "failedLoginAttempts",
    "lockedUntil",
    "searchVector",
}


def user(role: str = "STUDENT") -> User:
    return User(id="user_1", email="ann@example.org", name="Ann", role=role)


def test_every_export_type_is_declared() -> None:
    assert set(DATASETS) == set(ExportType)


@pytest.mark.parametrize("type_", DATASETS)
def test_no_export_selects_or_filters_by_credentials(type_: str) -> None:
    dataset = DATASETS[type_]
    used = {filter_.column.name for filter_ in dataset.filters}
    for part in dataset.parts:
        query = str(part.rows("user_1", []).compile())
        used |= {name for name in SECRETS if name in query}
    assert not used & SECRETS


def test_every_column_of_the_user_is_exported_or_left_out_on_purpose() -> None:
    """A column that is added to the table must be thought of here."""
    exported = {column.name for column in USER_DATA.parts[0].columns}
    assert set(metadata.tables["User"].c.keys()) - exported == SECRETS - {"searchVector"}


@pytest.mark.parametrize("type_", DATASETS)
def test_only_exports_of_one_table_have_filters(type_: str) -> None:
    dataset = DATASETS[type_]
    assert len(dataset.parts) == 1 or not (dataset.filters or dataset.public_rows)


def test_unknown_type_lists_the_known_ones() -> None:
    with pytest.raises(UnknownExportType, match="ANALYTICS, MEMBERS, USER_DATA, WIKI_PAGES"):
        dataset_of("EVERYTHING")


@pytest.mark.parametrize("role", ["STUDENT", "PENDING_STAFF", "OWNER", ""])
def test_members_are_for_staff_only(role: str) -> None:
    with pytest.raises(ExportForbidden, match="ADMIN and STAFF"):
        MEMBERS.check(user(role), {})


@pytest.mark.parametrize("role", ["ADMIN", "STAFF"])
def test_staff_may_ask_for_members(role: str) -> None:
    MEMBERS.check(user(role), {"role": "STUDENT", "universityId": None, "powerScore": 3})


def test_unknown_filter_is_refused_by_name_and_the_known_are_listed() -> None:
    with pytest.raises(
        UnknownFilter, match="no filter 'password'; it has email, id, name"
    ) as caught:
        MEMBERS.check(user("ADMIN"), {"password": "x"})
    assert caught.value.name == "password"
    assert "role" in caught.value.known


@pytest.mark.parametrize("dataset", [USER_DATA, ANALYTICS])
def test_exports_of_ones_own_data_ignore_filters(dataset: Any) -> None:
    """As the old system did; the rows are the asking user's whatever the filters say."""
    filters: dict[str, Any] = {"userId": "user_2", "powerScore": {"gte": 5}, "ids": [1]}

    dataset.check(user("STUDENT"), filters)

    assert dataset.ignored(filters) == tuple(filters)
    assert dataset.conditions(user("STUDENT"), filters) == []
    assert MEMBERS.ignored(filters) == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("role", "KING"),
        ("role", 1),
        ("role", None),
        ("email", ["a"]),
        ("email", {"contains": "a"}),
        ("email", True),
        ("email", "x" * 501),
        ("email", "a\x00b"),
        ("email", "a\ud800b"),
        ("powerScore", True),
        ("powerScore", 1.0),
        ("powerScore", "1"),
        ("powerScore", 2**31),
    ],
)
def test_value_of_a_wrong_type_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(BadFilter, match=name):
        MEMBERS.check(user("ADMIN"), {name: value})


@pytest.mark.parametrize("value", ["true", 1, 0, None])
def test_published_is_true_or_false(value: Any) -> None:
    with pytest.raises(BadFilter, match="true or false"):
        WIKI_PAGES.check(user("ADMIN"), {"published": value})


def test_unpublished_pages_are_for_staff_only() -> None:
    WIKI_PAGES.check(user(), {"published": True})
    WIKI_PAGES.check(user("STAFF"), {"published": False})
    with pytest.raises(ExportForbidden, match="published"):
        WIKI_PAGES.check(user(), {"published": False})


def test_those_who_are_not_staff_get_published_pages() -> None:
    assert len(WIKI_PAGES.conditions(user(), {})) == 1
    assert not WIKI_PAGES.conditions(user("ADMIN"), {})


def test_long_texts_are_read_in_small_batches() -> None:
    """A wiki page may be a megabyte; a thousand of them must not be in memory at once."""
    parts = [part for dataset in DATASETS.values() for part in dataset.parts]
    long = [part for part in parts if any(column.name == "content" for column in part.columns)]

    assert [part.name for part in long] == ["revisions", "wiki-pages"]
    assert all(part.batch_rows <= 100 for part in long)


@pytest.mark.parametrize(
    "error",
    [
        UnknownFilter("x" * 900_000, type_="MEMBERS", known=["name"]),
        BadFilter("x" * 900_000, "must be a text"),
        UnknownExportType("x" * 900_000, known=["MEMBERS"]),
    ],
)
def test_refusal_does_not_repeat_a_long_name(error: Exception) -> None:
    assert len(str(error)) < 300
    assert "(900000 characters)" in str(error)
