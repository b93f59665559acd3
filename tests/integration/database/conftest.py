"""Fixtures of the database's tests."""

from tests.integration.database.fixtures import (
    database,
    database_url,
    empty_database,
    postgres,
    postgres_url,
)

__all__ = ["database", "database_url", "empty_database", "postgres", "postgres_url"]
