"""Which version of the compute RPC API is spoken, and who holds it down.

With ``[upgrade_levels] compute=auto`` every service takes the lowest version of all nova-computes
of all cells when it starts; deleted records, those that are forced down and those of version 0 do
not count, disabled ones and those of hosts that do not exist any more do (``nova/db/main/api.py``,
service_get_minimum_version; ``nova/objects/service.py``, get_minimum_version_all_cells).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass

from upgrade_flows.checks.base import Check, Database, NothingToLookAt, Sources, each
from upgrade_flows.checks.cloud.reading import ago
from upgrade_flows.checks.versions import facts
from upgrade_flows.model.check import Rule
from upgrade_flows.model.report import Finding, Severity

#: seconds without a report after which a record counts as one of nobody
SILENT_S = 86400
NAMED = 20

MIXED = Rule(
    "UF-VR-001",
    "nova-computes of several versions, so that the RPC version is held down",
    Severity.INFO,
    "That is how a rolling upgrade looks half-way. What the newer version brings works when the"
    " last one is upgraded and the services were restarted: they look when they start only.",
    "Upgrade the hosts in the evidence, then restart the services of Nova.",
)
NOBODY = Rule(
    "UF-VR-002",
    "a record that nobody reports for holds the RPC version down",
    Severity.WARNING,
    "upgrade_levels=auto counts the record of a host that is disabled, or does not exist any more,"
    " as if it ran. After an upgrade of all others it stays at the old version, for ever, and the"
    " target release may refuse to start because of it.",
    "openstack compute service list --host HOST, then openstack compute service delete ID; while"
    " it is in repair: openstack compute service set --down HOST nova-compute",
)
TOO_OLD = Rule(
    "UF-VR-003",
    "a nova-compute is older than the target release supports",
    Severity.ERROR,
    "Services of the target release look at the oldest nova-compute of all cells when they start,"
    " and stop with TooOldComputeService if it is older than their"
    " OLDEST_SUPPORTED_SERVICE_VERSION.",
    "Upgrade the host to the release between, or delete its record if it is gone.",
)
NEWER = Rule(
    "UF-VR-004",
    "a service of Nova is newer than the target release",
    Severity.ERROR,
    "The target is older than what runs: that would be a downgrade, which Nova does not support.",
    "Choose the release that runs, or a later one, as the target.",
)


@dataclass(frozen=True)
class Record:
    """A record of the table ``services``; ``silent_s``: since when nobody has reported."""

    cell: str
    host: str
    binary: str
    version: int
    disabled: bool
    forced_down: bool
    silent_s: float

    @property
    def counts(self) -> bool:
        """Whether ``auto`` counts it."""
        return self.binary == "nova-compute" and self.version > 0 and not self.forced_down

    @property
    def why(self) -> str:
        """Why nobody seems to be behind it; "" where somebody is."""
        if self.silent_s <= SILENT_S:
            return ""
        disabled = "disabled and " if self.disabled else ""
        return f"{disabled}silent for {ago(self.silent_s)}"


class Radar(Check):
    """Reads the services' versions in all cells; the API does not show them."""

    area = "versions"
    title = "versions of Nova's services"
    rules = (MIXED, NOBODY, TOO_OLD, NEWER)

    def run(self, sources: Sources) -> Iterable[Finding]:
        """Read each cell, then look at all of them together, as ``auto`` does."""
        cells = sources.databases("nova_cell")
        records: list[Record] = []

        def read_one(cell: Database) -> Iterable[Finding]:
            records.extend(read(cell, sources.now))
            return ()

        # a cell that cannot be read may be the one that holds down: no word is better than half
        each(cells, read_one)
        return judge(records, sources.target)


def read(cell: Database, now: float) -> list[Record]:
    """Return the records of a cell that are not deleted.

    :raises NothingToLookAt: it has no such table.
    """
    if "version" not in cell.columns("services"):
        raise NothingToLookAt(f"the database of {cell.name} has no versions of services")
    rows = cell.rows(
        "SELECT host, binary_name, version, disabled, forced_down,"
        " COALESCE(last_seen_up, updated_at, created_at) FROM (SELECT host,"
        f" {cell.quoted('binary')} AS binary_name, version, disabled, forced_down, last_seen_up,"
        " updated_at, created_at, deleted FROM services) s WHERE deleted = 0"
    )
    return [
        Record(
            cell.name,
            str(host),
            str(binary),
            int(version or 0),
            bool(disabled),
            bool(down),
            now - _epoch(seen) if seen else float("inf"),
        )
        for host, binary, version, disabled, down, seen in rows
    ]


def judge(records: list[Record], target: str) -> list[Finding]:
    """Return what stands out among the records of all cells."""
    counting = [one for one in records if one.counts]
    if not counting:
        raise NothingToLookAt("no nova-compute is recorded in any cell")
    lowest = min(one.version for one in counting)
    running = [one for one in counting if not one.why]
    without = min((one.version for one in running), default=lowest)
    findings = []
    for one in counting:
        if one.why and one.version < without:
            said = f"; without it auto would be {facts.compute_rpc(without)}"
            findings.append(
                NOBODY.found(
                    f"{one.cell} {one.host}",
                    f"the record of nova-compute on {one.host} is {one.why}, and holds the compute"
                    f" RPC at {facts.compute_rpc(one.version)}{said}",
                    NOBODY.remedy.replace("HOST", one.host),
                    version=one.version,
                    auto=facts.compute_rpc(lowest),
                    auto_without=facts.compute_rpc(without),
                )
            )
    findings += _mixed(running)
    return findings + _against(records, counting, target)


def _mixed(running: list[Record]) -> list[Finding]:
    """Return a finding if those that run are of several versions: cells, and who is lowest."""
    versions = sorted({one.version for one in running})
    if len(versions) < 2:
        return []
    lowest, highest = versions[0], versions[-1]
    holding = sorted(one.host for one in running if one.version == lowest)
    cells = {
        cell: {
            "lowest": min(one.version for one in running if one.cell == cell),
            "highest": max(one.version for one in running if one.cell == cell),
        }
        for cell in sorted({one.cell for one in running})
    }
    return [
        MIXED.found(
            "nova-compute",
            f"nova-computes are of the versions {lowest} to {highest}; auto is"
            f" {facts.compute_rpc(lowest)}, and would be {facts.compute_rpc(highest)} without"
            f" {len(holding)} of them, such as {holding[0]}",
            cells=cells,
            holding=holding[:NAMED],
            number=len(holding),
            auto=facts.compute_rpc(lowest),
            possible=facts.compute_rpc(highest),
        )
    ]


def _against(records: list[Record], counting: list[Record], target: str) -> list[Finding]:
    """Return what the target release does not go with; nothing where it is not known."""
    if not target:
        return []
    try:
        release = facts.nova(target)
    except NothingToLookAt:
        return []
    old = [
        TOO_OLD.found(
            f"{one.cell} {one.host}",
            f"nova-compute on {one.host} is of version {one.version}; {release.release} needs"
            f" {release.oldest} (nova {release.nova})",
            version=one.version,
            oldest=release.oldest,
        )
        for one in counting
        if one.version < release.oldest
    ]
    newest = max(records, key=lambda one: one.version)
    if newest.version <= release.service:
        return old
    return [
        *old,
        NEWER.found(
            f"{newest.cell} {newest.host}",
            f"{newest.binary} on {newest.host} is of version {newest.version}, and"
            f" {release.release} of {release.service}",
            version=newest.version,
            target=release.service,
        ),
    ]


def _epoch(value: object) -> float:
    """Return a time of a database, UTC without saying so, as epoch seconds."""
    moment = (
        value
        if isinstance(value, datetime.datetime)
        else datetime.datetime.fromisoformat(str(value))
    )
    return moment.replace(tzinfo=datetime.UTC).timestamp()
