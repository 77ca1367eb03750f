"""Bringing a journal up to date."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command, config


def upgrade(engine: sa.Engine) -> None:
    """Apply the revisions that a journal lacks, in one transaction where the database can."""
    settings = config.Config()
    settings.set_main_option("script_location", "upgrade_flows.engine:migrations")
    with engine.begin() as conn:
        settings.attributes["connection"] = conn
        command.upgrade(settings, "head")
