"""DBOS: the same steps as a durable workflow.  It knows PostgreSQL and SQLite.

Its commits stay unknown: SQLAlchemy tells of no commit where the driver commits by itself, as it
does in some of its transactions.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util

import sqlalchemy as sa

from tests.bench.durability.measure import Sample, measure
from tests.bench.errors import BenchError

WARM_UP = 20


def absent(database: str) -> str | None:
    """Return why it cannot be measured, or None."""
    if database == "mariadb":
        return "does not support MariaDB"
    if importlib.util.find_spec("dbos") is None:
        return "not installed: pip install dbos"
    return None


def version() -> str:
    """Return which DBOS it is."""
    if importlib.util.find_spec("dbos") is None:
        return "no DBOS"
    return f"DBOS {importlib.metadata.version('dbos')}"


def workflow(url: str, steps: int) -> list[Sample]:
    """Measure a workflow whose steps come one after the other."""
    from dbos import DBOS

    parsed = sa.make_url(url)
    parsed = parsed.set(drivername=parsed.get_backend_name())  # it has a driver of its own
    DBOS(
        config={
            "name": "durable",
            "system_database_url": parsed.render_as_string(hide_password=False),
            "log_level": "ERROR",
        }
    )

    @DBOS.step()
    def nothing() -> dict[str, bool]:
        return {"ok": True}

    @DBOS.workflow()
    def durable(count: int) -> int:
        return sum(nothing()["ok"] for _ in range(count))

    def checked(count: int) -> None:
        if durable(count) != count:
            raise BenchError("the workflow has lost steps")

    DBOS.launch()
    checked(WARM_UP)
    found = [measure(steps, lambda: checked(steps)) for _ in range(2)]
    DBOS.destroy()
    return [dataclasses.replace(sample, commits=None) for sample in found]
