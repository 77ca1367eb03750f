"""Host groups: which hosts belong together, so that instances stay among them while they move."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.errors import RequestError
from upgrade_flows.model.inventory import Aggregate
from upgrade_flows.model.report import Finding, Severity

#: metadata of an aggregate that is a host group: ``true``, or the group's name
GROUP = "upgrade_flows:host_group"
#: metadata of such an aggregate: the name of the group's placement policy
PLACEMENT = "upgrade_flows:placement"

#: what a request says instead of names of aggregates: those that say so themselves, or no groups
METADATA, NONE = "metadata", "none"

YES = ("true", "yes", "1")
NO = ("", "false", "no", "0")


@dataclass(frozen=True)
class HostGroups:
    """What aggregates say about host groups.

    :param group_of: the group of each host, by their names; without hosts that are complained
        about.  Empty where there are no host groups: all hosts belong together then.
    :param placement: the policies of the groups that have one of their own, by their names.
    :param complaints: about hosts (``UF-HG-001``, ``002``) and groups (``003``, ``004``).
    """

    group_of: dict[str, str] = field(default_factory=dict)
    placement: dict[str, str] = field(default_factory=dict)
    complaints: tuple[Finding, ...] = ()


def host_groups(
    aggregates: Iterable[Aggregate],
    hosts: Iterable[str],
    policies: Collection[str],
    named: Collection[str] = (),
) -> HostGroups:
    """Tell the host groups; every host must be in exactly one of them.

    :param hosts: the names of the hosts that there are; aggregates may have others.
    :param policies: the names of the placement policies that there are.
    :param named: the names of the aggregates that are host groups, whatever their metadata say.
    :raises RequestError: there is no aggregate of such a name.
    """
    aggregates = tuple(aggregates)
    unknown = sorted(set(named) - {aggregate.name for aggregate in aggregates})
    if unknown:
        raise RequestError(f"host groups: there is no aggregate {', '.join(unknown)}")
    there = set(hosts)
    members: dict[str, set[str]] = {}
    wanted: dict[str, set[str]] = {}
    for aggregate in aggregates:
        group = _group(aggregate, named)
        if group:
            members.setdefault(group, set()).update(there.intersection(aggregate.hosts))
            policy = aggregate.metadata.get(PLACEMENT, "").strip()
            wanted.setdefault(group, set()).update([policy] if policy else [])
    if not members:
        return HostGroups()
    group_of, complaints = _sort(there, members)
    for group in sorted(members):
        if len(members[group]) == 1:
            complaints.append(_lonely(group, min(members[group])))
    placement: dict[str, str] = {}
    for group, names in sorted(wanted.items()):
        if len(names) == 1 and names <= set(policies):
            placement[group] = min(names)
        elif names:
            complaints.append(_unplaceable(group, names, policies))
    return HostGroups(group_of, placement, tuple(complaints))


def named(said: Any) -> tuple[str, ...] | None:
    """Return the aggregates that are host groups; empty: by their metadata; None: no groups.

    Where nothing is said the metadata count: who has set them wants them kept.

    :param said: the option ``host_groups`` of a request.
    :raises RequestError: the option is neither.
    """
    if said == NONE:
        return None
    if said in (None, "", [], (), METADATA):
        return ()
    if isinstance(said, list | tuple) and all(isinstance(name, str) for name in said):
        return tuple(said)
    raise RequestError(
        f"host_groups is {said!r}; it must be a list of aggregates, 'metadata' or 'none'"
    )


def _group(aggregate: Aggregate, named: Collection[str]) -> str:
    """Return the name of the group that an aggregate is, or nothing."""
    if named:
        return aggregate.name if aggregate.name in named else ""
    said = aggregate.metadata.get(GROUP, "").strip()
    if said.lower() in NO:
        return ""
    return aggregate.name if said.lower() in YES else said


def _sort(hosts: set[str], members: Mapping[str, set[str]]) -> tuple[dict[str, str], list[Finding]]:
    """Return the group of each host that is in exactly one, and complaints about the others."""
    groups_of: dict[str, list[str]] = defaultdict(list)
    for group in sorted(members):
        for host in members[group]:
            groups_of[host].append(group)
    complaints: list[Finding] = []
    group_of: dict[str, str] = {}
    for host in sorted(hosts):
        groups = groups_of[host]
        if len(groups) == 1:
            group_of[host] = groups[0]
        elif groups:
            complaints.append(
                Finding(
                    "UF-HG-002", host, Severity.REFUSED,
                    f"host is in several host groups: {', '.join(groups)}",
                    f"openstack aggregate remove host <aggregate> {host}",
                    {"groups": groups},
                )
            )  # fmt: skip
        else:
            complaints.append(
                Finding(
                    "UF-HG-001", host, Severity.REFUSED, "host is in no host group",
                    f"openstack aggregate add host <aggregate> {host}",
                )
            )  # fmt: skip
    return group_of, complaints


def _lonely(group: str, host: str) -> Finding:
    return Finding(
        "UF-HG-003", group, Severity.WARNING,
        f"host group {group} has a single host: nothing can move within it",
        "add hosts to it, or leave it out: what is on its host can only be stopped",
        {"host": host},
    )  # fmt: skip


def _unplaceable(group: str, names: set[str], policies: Collection[str]) -> Finding:
    said = ", ".join(sorted(names))
    known = ", ".join(sorted(policies))
    what = (
        f"has several placement policies: {said}"
        if len(names) > 1
        else f"has an unknown placement policy: {said}"
    )
    return Finding(
        "UF-HG-004", group, Severity.REFUSED, f"host group {group} {what}",
        f"openstack aggregate set --property {PLACEMENT}=<one of {known}> <aggregate>",
        {"wanted": sorted(names), "known": sorted(policies)},
    )  # fmt: skip
