"""The journal's tables: runs, subjects and events are ours, the others are TaskFlow's model.

What changes here needs a migration in ``migrations/versions`` that does the same to a journal
that exists; a test holds the two together on every kind of database.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

#: every revision of the schema, oldest first; the last one is what the tables below are
REVISIONS = ("0001",)

_LONG = sa.Text().with_variant(mysql.LONGTEXT(collation="utf8mb4_bin"), "mysql", "mariadb")
_TIME = sa.Double
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(length: int) -> sa.String:
    """Return the type of a text in which, on every database, case and accents matter."""
    exact = mysql.VARCHAR(length, collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql", "mariadb")


metadata = sa.MetaData()

revision = sa.Table(
    "alembic_version", metadata, sa.Column("version_num", sa.String(32), primary_key=True)
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", _text(64), primary_key=True),
    sa.Column("plan_id", _text(255), nullable=False),
    sa.Column("cloud_id", _text(255), nullable=False),
    sa.Column("capability", _text(64), nullable=False),
    sa.Column("plan", _LONG, nullable=False),
    sa.Column("outline", _LONG, nullable=False),
    sa.Column("state", _text(32), nullable=False),
    sa.Column("moves", _text(8), nullable=False),
    sa.Column("submitted", sa.Boolean, nullable=False),
    sa.Column("withdrawn", sa.Boolean, nullable=False),
    sa.Column("ordered", sa.Boolean, nullable=False),
    sa.Column("created", _TIME, nullable=False),
    sa.Column("ended", _TIME),
    sa.Index("ix_runs_submitted_state", "submitted", "state"),
)

subjects = sa.Table(
    "subjects",
    metadata,
    sa.Column("run_id", _text(64), sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("subject", _text(255), primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("wave", sa.Integer, nullable=False),
    sa.Column("action", _LONG, nullable=False),
    sa.Column("state", _text(32), nullable=False),
    sa.Column("work", _text(16), nullable=False),
    sa.Column("error", _LONG, nullable=False),
    sa.Column("started", _TIME),
    sa.Column("ended", _TIME),
    sa.Column("result", _LONG, nullable=False),
    sa.Column("residue", _LONG, nullable=False),
    sa.Column("brief", _LONG, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("progress", sa.Integer, nullable=False),
    sa.Index("ix_subjects_subject", "subject"),
    sa.Index("ix_subjects_run_state", "run_id", "state"),
    sa.Index("ix_subjects_run_work_position", "run_id", "work", "position"),
)

owners = sa.Table(
    "owners",
    metadata,
    sa.Column("owner", _text(255), primary_key=True),
    sa.Column("expires", _TIME, nullable=False),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("cloud_id", _text(255), primary_key=True),
    sa.Column("subject", _text(255), primary_key=True),
    sa.Column("run_id", _text(64), nullable=False),
    sa.Column("owner", _text(255), nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Index("ix_leases_owner", "owner"),
    sa.Index("ix_leases_run", "run_id"),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
    sa.Column("run_id", _text(64), sa.ForeignKey("runs.id"), nullable=False),
    sa.Column("time", _TIME, nullable=False),
    sa.Column("subject", _text(255), nullable=False),
    sa.Column("step", _text(512), nullable=False),
    sa.Column("what", _text(64), nullable=False),
    sa.Column("detail", _LONG, nullable=False),
    sa.Column("owner", _text(255), nullable=False),
    sa.Index("ix_events_run_subject", "run_id", "subject"),
)

books = sa.Table(
    "books",
    metadata,
    sa.Column("id", _text(64), primary_key=True),
    sa.Column("name", _text(255), nullable=False),
    sa.Column("meta", _LONG, nullable=False),
)

flows = sa.Table(
    "flows",
    metadata,
    sa.Column("id", _text(64), primary_key=True),
    sa.Column("book_id", _text(64), nullable=False),
    sa.Column("name", _text(255), nullable=False),
    sa.Column("state", _text(32)),
    sa.Column("meta", _LONG, nullable=False),
    sa.Index("ix_flows_book", "book_id"),
)

steps = sa.Table(
    "steps",
    metadata,
    sa.Column("id", _text(64), primary_key=True),
    sa.Column("flow_id", _text(64), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("name", _text(512), nullable=False),
    sa.Column("kind", _text(16), nullable=False),
    sa.Column("state", _text(32)),
    sa.Column("intention", _text(32)),
    sa.Column("version", _text(32), nullable=False),
    sa.Column("meta", _LONG, nullable=False),
    sa.Column("results", _LONG),
    sa.Column("failure", _LONG),
    sa.Column("revert_results", _LONG),
    sa.Column("revert_failure", _LONG),
    sa.Index("ix_steps_flow", "flow_id", "position"),
)
