"""Projects whose quotas are nearly used up."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from upgrade_flows.checks.base import Check, Sources, each
from upgrade_flows.checks.cloud.reading import concurrently, servers
from upgrade_flows.model.check import Rule
from upgrade_flows.model.inventory import Quota
from upgrade_flows.model.report import Finding, Severity

NEAR = Rule(
    "UF-CL-060",
    "a project has nearly used up a quota",
    Severity.INFO,
    "Surrogates, snapshots and replacements of an upgrade count against the quota of the project"
    " whose instance they stand for, and so does what its owner starts meanwhile.",
    "openstack quota set, for the time of the upgrade",
)


class Quotas(Check):
    """Looks at the quotas of the projects that have servers."""

    area = "cloud"
    title = "quotas of projects"
    rules = (NEAR,)

    def run(self, sources: Sources) -> Iterable[Finding]:
        """Read the quotas of instances, volumes and ports, a call for each project and service."""
        projects = sorted({one.project_id for one in servers(sources).values() if one.project_id})
        cloud = sources.cloud
        return each(
            (cloud.compute.quota, cloud.volumes.quota, cloud.network.quota),
            lambda ask: look(ask, projects, sources.limits.quota_percent),
        )


def look(ask: Callable[[str], Quota], projects: list[str], percent: int) -> list[Finding]:
    """Return a finding for each quota of one service that is nearly used up."""
    findings = []
    for project, quota in zip(projects, concurrently(ask, projects), strict=True):
        for kind, limit in sorted(quota.limits.items()):
            used = quota.used.get(kind, 0)
            if limit > 0 and used * 100 >= limit * percent:
                findings.append(
                    NEAR.found(
                        f"{project} {kind}",
                        f"project {project} uses {used} of {limit} {kind}",
                        f"openstack quota set --{kind.replace('_', '-')} MORE {project}",
                        used=used,
                        limit=limit,
                    )
                )
    return findings
