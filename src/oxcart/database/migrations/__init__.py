"""The schema's migrations: Alembic's revisions in ``versions``, and what runs and records them."""
