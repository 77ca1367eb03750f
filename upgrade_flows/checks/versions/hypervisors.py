"""QEMU's versions against what the target release needs, and where guests can be migrated.

Nova shows QEMU's version; libvirt's own it does not show.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from upgrade_flows.checks.base import Check, NothingToLookAt, Sources
from upgrade_flows.checks.versions import facts
from upgrade_flows.model.check import Rule
from upgrade_flows.model.report import Finding, Severity

NAMED = 20
KINDS = ("QEMU", "KVM")

TOO_OLD = Rule(
    "UF-VR-010",
    "a host's QEMU is older than the target release needs",
    Severity.ERROR,
    "nova-compute of the target release does not start on it: 'Nova requires QEMU version ... or"
    " greater'. The host keeps its instances, and nobody can migrate them away.",
    "Upgrade QEMU and libvirt of these hosts first, with the release that runs now.",
)
NEXT = Rule(
    "UF-VR-011",
    "a host's QEMU is older than a later release will need",
    Severity.INFO,
    "nova-compute of the target release warns when it starts; one of the next releases will not"
    " start any more.",
    "Plan the upgrade of the operating system of these hosts.",
)
DIRECTION = Rule(
    "UF-VR-020",
    "hosts of several versions of QEMU: instances migrate live in one direction only",
    Severity.INFO,
    "A guest that was started by, or migrated to, a newer QEMU does not go back to an older one."
    " While hosts are upgraded one after the other, those that are done have to have room for"
    " those that are not; rolling back a host that is done takes a cold migration.",
    "Migrate from the older to the newer; upgrade the hosts of a host group together.",
)


class Hypervisors(Check):
    """Groups the hosts by the version of their QEMU."""

    area = "versions"
    title = "versions of QEMU"
    rules = (TOO_OLD, NEXT, DIRECTION)

    def run(self, sources: Sources) -> Iterable[Finding]:
        """Read the hypervisors."""
        hosts: dict[facts.Version, list[str]] = defaultdict(list)
        for one in sources.cloud.compute.hypervisors():
            if one.kind in KINDS and one.version:
                hosts[facts.of_number(one.version)].append(one.host)
        if not hosts:
            raise NothingToLookAt("no host tells the version of a QEMU")
        release = facts.nova(sources.target)
        findings = []
        for version in sorted(hosts):
            for rule, needed in ((TOO_OLD, release.qemu), (NEXT, release.next_qemu)):
                if version < needed:
                    findings.append(_old(rule, version, needed, release, hosts[version]))
                    break
        return findings + _direction(hosts)


def _old(
    rule: Rule,
    version: facts.Version,
    needed: facts.Version,
    release: facts.NovaRelease,
    hosts: list[str],
) -> Finding:
    needs = "needs" if rule is TOO_OLD else "announces that a later release will need"
    return rule.found(
        f"QEMU {facts.text(version)}",
        f"{len(hosts)} hosts run QEMU {facts.text(version)}, and {release.release} {needs}"
        f" {facts.text(needed)}: {_names(hosts)}",
        hosts=sorted(hosts)[:NAMED],
        number=len(hosts),
        needed=facts.text(needed),
        source=f"nova {release.nova}, nova/virt/libvirt/driver.py",
    )


def _direction(hosts: dict[facts.Version, list[str]]) -> list[Finding]:
    """Return a finding if hosts differ in the version of QEMU, but for the last number."""
    series: dict[tuple[int, int], list[str]] = defaultdict(list)
    for version, names in hosts.items():
        series[version[:2]] += names
    if len(series) < 2:
        return []
    order = sorted(series)
    said = " → ".join(f"{major}.{minor} ({len(series[major, minor])})" for major, minor in order)
    return [
        DIRECTION.found(
            "QEMU",
            f"live migration is possible from left to right: {said}",
            hosts={f"{a}.{b}": sorted(series[a, b])[:NAMED] for a, b in order},
        )
    ]


def _names(hosts: list[str]) -> str:
    names = sorted(hosts)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if names[3:] else "")
