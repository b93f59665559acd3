"""Fixtures of the commands' tests."""

from tests.integration.database.fixtures import postgres, postgres_url

__all__ = ["postgres", "postgres_url"]
