"""The upgrade of one host, killed at every instant: what each way on from there comes to."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.flows.crash import Point, Scenario, distinct, fresh, kill_points, settle_down
from tests.flows.difference import difference
from tests.flows.rolling_scenes import engine, plan_for
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.engine.operations import Engine
from upgrade_flows.engine.store import Journal
from upgrade_flows.flows.host_upgrade.options import CHOICE
from upgrade_flows.model import codec

#: all that is accepted is done a moment later: every wait looks twice
SOON = 0.04
OPTIONS: dict[str, Any] = {
    "targets": ("h2",),
    "canary_instance": {"flavor": "m1.small", "image": "debian"},
    "limits": {"migrations_per_host": 1},
}
#: what is told of a host's upgrade that depends on when it was seen
TIMED = ("drain_s", "out_s", "reboot_s", "canary")


def original(slow: bool = False) -> FakeCloud:
    """Return a cloud in which there is no choice: what leaves h1 can go to h2 only.

    :param slow: what is accepted takes its time, so that a kill finds it half done.
    """
    cloud = FakeCloud(hosts=("h1", "h2"))
    cloud.add_server("live", host="h1")
    cloud.add_server("off", host="h1", status="SHUTOFF")
    cloud.add_server("batch", host="h1", metadata={CHOICE: "poweroff"})
    if slow:
        cloud.durations["host.reboot"] = 20.0
    else:
        cloud.world.migration_bandwidth = 1 << 40
        cloud.durations.update(dict.fromkeys(cloud.durations, SOON))
    return cloud


def with_a_key(journal: Journal, cloud: FakeCloud, **more: Any) -> Engine:
    """Return an engine whose key lies beside its journal."""
    return engine(journal, cloud, vault=None, **more)


class KilledHost:
    """A host that is upgraded and then rolled back, killed at every instant.

    :param engine: what carries the run out, and goes on with it in another process.
    :param every: only each so many of the instants are looked at, beginning with the first.
    """

    def __init__(
        self,
        folder: Path,
        make: Callable[..., Any] = with_a_key,
        every: int = 1,
        slow: bool = False,
        hosts: tuple[str, ...] = ("h1",),
        **options: Any,
    ) -> None:
        self.hosts, options = hosts, {**OPTIONS, **options}
        self.scenario = Scenario(
            build=lambda _: original(slow),
            plan=lambda cloud: plan_for(cloud, *hosts, **options),
            engine=make,
        )
        made: list[FakeCloud] = []
        self.whole = dataclasses.replace(
            self.scenario,
            operations=("run", "rollback"),
            build=lambda _: made.append(original(slow)) or made[0],  # type: ignore[func-returns-value]
        )
        points = kill_points(self.whole, folder)
        changed = next(point for point in points if point.operation == 1)
        self.ends = {
            "run": self._end_at(changed),
            "rollback": _end(made[0], folder / "journal.db"),
        }
        self.points = {
            name: distinct(point for point in points if point.operation == number)[::every]
            for number, name in enumerate(("run", "rollback"))
        }

    def _end_at(self, point: Point) -> dict[str, Any]:
        return _end(FakeCloud.restored(point.snapshot), point.folder / "journal.db")

    def wrong(
        self, killed: str, *wanted: dict[str, Any], instead: str | None = None
    ) -> dict[str, Any]:
        """Go on from every instant; return those that come to no wanted end, and what differs."""
        scenario = self.scenario if killed == "run" else self.whole
        found = {}
        for kept in self.points[killed]:
            point = fresh(kept)
            try:
                cloud, journal, _ = settle_down(scenario, point, instead)
            except Exception as exc:
                found[point.label] = repr(exc)
                continue
            journal.close()
            ended = _end(cloud, point.folder / "journal.db")
            differs = [difference(end, {key: ended[key] for key in end}) for end in wanted]
            if all(differs):
                found[point.label] = min(differs, key=len)
        return found


def _end(cloud: FakeCloud, path: Path) -> dict[str, Any]:
    """Return all that an end is told by, but for times, and for where the instances are."""
    journal = Journal.open(f"sqlite:///{path}")
    (run,) = journal.runs()
    records = journal.subjects(run.id)
    journal.close()
    one = records["h1"]
    return {
        "run": run.state,
        "state": str(one.state),
        "error": one.error,
        "residue": [left for each in records.values() for left in codec.to_plain(each.residue)],
        "states": {name: str(each.state) for name, each in records.items()},
        "result": {name: _timeless(each.result or {}) for name, each in records.items()},
        "boots": {name: host.boots for name, host in cloud.world.hosts.items()},
        "cloud": cloud.state(bindings=True),
        "servers": sorted(
            (one.name, one.status, one.locked) for one in cloud.direct.compute.servers()
        ),
        "in service": sorted(
            (name, one.host.enabled, one.host.disabled_reason, one.installed, one.runs)
            for name, one in cloud.world.hosts.items()
        ),
        "migrations": [
            m for host in cloud.world.hosts for m in cloud.direct.compute.migrations_of_host(host)
        ],
        "leases": journal_leases(path),
    }


def _timeless(result: dict[str, Any]) -> dict[str, Any]:
    told = {key: value for key, value in result.items() if key not in TIMED}
    for name in ("moves", "returned"):
        moves = told.get(name, [])
        told[name] = sorted((m["name"], m["source"], m["target"], m["how"]) for m in moves)
    return told


def journal_leases(path: Path) -> int:
    """Return how many leases a journal still holds of owners that live."""
    with closing(sqlite3.connect(path)) as conn:
        query = (
            "SELECT count(*) FROM leases JOIN owners ON owners.owner = leases.owner"
            " WHERE owners.expires > 0"
        )
        return int(conn.execute(query).fetchone()[0])
