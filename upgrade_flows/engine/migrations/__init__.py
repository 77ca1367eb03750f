"""The journal's schema over time, as Alembic revisions."""
