from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.database.rows import insert_user

from oxcart.database import User, Users
from oxcart.database.tables import user
from oxcart.database.users import find_user

if TYPE_CHECKING:
    from oxcart.database import Database

ANN = User(id="user_1", email="user_1@example.org", name="Ann", role="STUDENT")


async def test_user_is_found_by_id(database: Database) -> None:
    await insert_user(database)

    assert await Users(database).get("user_1") == ANN
    assert await Users(database).get("nobody") is None


async def test_user_is_found_by_a_blocking_connection(database: Database) -> None:
    await insert_user(database)

    with database.snapshot() as connection:
        assert find_user(connection, "user_1") == ANN


async def test_default_user_is_the_sample_administrator_alone(database: Database) -> None:
    users = Users(database)
    await insert_user(database, user_id="a", role="ADMIN")
    await insert_user(database, user_id="user_admin", role="ADMIN")
    assert await users.default_user() is None

    async with database.write() as connection:
        await connection.execute(
            user.update().where(user.c.id == "user_admin").values(email="admin@cofactor.example")
        )

    default = await users.default_user()
    assert default is not None
    assert default.id == "user_admin"


async def test_only_admin_and_staff_are_staff(database: Database) -> None:
    for role in ("STUDENT", "ADMIN", "STAFF", "PENDING_STAFF"):
        await insert_user(database, user_id=role, role=role)

    found = {role: await Users(database).get(role) for role in ("STUDENT", "ADMIN", "STAFF")}
    pending = await Users(database).get("PENDING_STAFF")
    assert [name for name, one in found.items() if one and one.is_staff] == ["ADMIN", "STAFF"]
    assert pending is not None
    assert not pending.is_staff
    assert user.c.role.type.name == "Role"  # type: ignore[attr-defined]  # an Enum has a name
