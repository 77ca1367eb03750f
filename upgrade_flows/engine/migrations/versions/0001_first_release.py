"""The journal of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None

_LONG = sa.Text().with_variant(mysql.LONGTEXT(collation="utf8mb4_bin"), "mysql", "mariadb")
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(length: int) -> sa.String:
    """Return the type of a text in which, on every database, case and accents matter."""
    exact = mysql.VARCHAR(length, collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql", "mariadb")


def upgrade() -> None:
    """Create everything."""
    op.create_table(
        "books",
        sa.Column("id", _text(64), nullable=False),
        sa.Column("name", _text(255), nullable=False),
        sa.Column("meta", _LONG, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "flows",
        sa.Column("id", _text(64), nullable=False),
        sa.Column("book_id", _text(64), nullable=False),
        sa.Column("name", _text(255), nullable=False),
        sa.Column("state", _text(32), nullable=True),
        sa.Column("meta", _LONG, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_flows_book", "flows", ["book_id"], unique=False)
    op.create_table(
        "leases",
        sa.Column("cloud_id", _text(255), nullable=False),
        sa.Column("subject", _text(255), nullable=False),
        sa.Column("run_id", _text(64), nullable=False),
        sa.Column("owner", _text(255), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("cloud_id", "subject"),
    )
    op.create_index("ix_leases_owner", "leases", ["owner"], unique=False)
    op.create_index("ix_leases_run", "leases", ["run_id"], unique=False)
    op.create_table(
        "owners",
        sa.Column("owner", _text(255), nullable=False),
        sa.Column("expires", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("owner"),
    )
    op.create_table(
        "runs",
        sa.Column("id", _text(64), nullable=False),
        sa.Column("plan_id", _text(255), nullable=False),
        sa.Column("cloud_id", _text(255), nullable=False),
        sa.Column("capability", _text(64), nullable=False),
        sa.Column("plan", _LONG, nullable=False),
        sa.Column("outline", _LONG, nullable=False),
        sa.Column("state", _text(32), nullable=False),
        sa.Column("moves", _text(8), nullable=False),
        sa.Column("submitted", sa.Boolean(), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("ordered", sa.Boolean(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("ended", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_runs_submitted_state", "runs", ["submitted", "state"], unique=False)
    op.create_table(
        "steps",
        sa.Column("id", _text(64), nullable=False),
        sa.Column("flow_id", _text(64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", _text(512), nullable=False),
        sa.Column("kind", _text(16), nullable=False),
        sa.Column("state", _text(32), nullable=True),
        sa.Column("intention", _text(32), nullable=True),
        sa.Column("version", _text(32), nullable=False),
        sa.Column("meta", _LONG, nullable=False),
        sa.Column("results", _LONG, nullable=True),
        sa.Column("failure", _LONG, nullable=True),
        sa.Column("revert_results", _LONG, nullable=True),
        sa.Column("revert_failure", _LONG, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_steps_flow", "steps", ["flow_id", "position"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("run_id", _text(64), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("subject", _text(255), nullable=False),
        sa.Column("step", _text(512), nullable=False),
        sa.Column("what", _text(64), nullable=False),
        sa.Column("detail", _LONG, nullable=False),
        sa.Column("owner", _text(255), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["runs.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_events_run_subject", "events", ["run_id", "subject"], unique=False)
    op.create_table(
        "subjects",
        sa.Column("run_id", _text(64), nullable=False),
        sa.Column("subject", _text(255), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.Column("action", _LONG, nullable=False),
        sa.Column("state", _text(32), nullable=False),
        sa.Column("work", _text(16), nullable=False),
        sa.Column("error", _LONG, nullable=False),
        sa.Column("started", sa.Double(), nullable=True),
        sa.Column("ended", sa.Double(), nullable=True),
        sa.Column("result", _LONG, nullable=False),
        sa.Column("residue", _LONG, nullable=False),
        sa.Column("brief", _LONG, nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["runs.id"],
        ),
        sa.PrimaryKeyConstraint("run_id", "subject"),
    )
    op.create_index("ix_subjects_run_state", "subjects", ["run_id", "state"], unique=False)
    op.create_index(
        "ix_subjects_run_work_position", "subjects", ["run_id", "work", "position"], unique=False
    )
    op.create_index("ix_subjects_subject", "subjects", ["subject"], unique=False)
