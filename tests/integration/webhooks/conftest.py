"""Fixtures of the webhooks' tests: databases of both kinds."""

from tests.integration.database.fixtures import (
    database,
    database_url,
    empty_database,
    postgres,
    postgres_url,
)

__all__ = ["database", "database_url", "empty_database", "postgres", "postgres_url"]
