"""Instances, migrations and volumes on which something was begun and does not end."""

from __future__ import annotations

from collections.abc import Iterable

from upgrade_flows import errors
from upgrade_flows.checks.base import Check, Sources
from upgrade_flows.checks.cloud.reading import (
    OPEN,
    ago,
    concurrently,
    epoch,
    migrations,
    servers,
)
from upgrade_flows.model.check import Rule
from upgrade_flows.model.inventory import Server
from upgrade_flows.model.report import Finding, Severity

INSTANCE = Rule(
    "UF-CL-010",
    "an instance has had a task state for too long",
    Severity.ERROR,
    "What was begun died with a process, or waits for something. Nova refuses nearly every action"
    " until the task state is gone, so its host cannot be emptied.",
    "Find out what became of it in the log of its host; then openstack server set --state active"
    " SERVER, if it runs.",
)
BROKEN = Rule(
    "UF-CL-011",
    "an instance is in ERROR",
    Severity.WARNING,
    "It cannot be migrated. After the upgrade nobody will know whether it was broken before.",
    "See its fault, repair or delete it, or write down that it was so before the upgrade.",
)
WAITING = Rule(
    "UF-CL-012",
    "an instance waits for its resize or migration to be confirmed",
    Severity.WARNING,
    "It holds room on two hosts, and cannot be migrated live. Its old disk is still on its source.",
    "openstack server migrate confirm SERVER, or revert",
)
MIGRATION = Rule(
    "UF-CL-013",
    "a migration was begun and does not end",
    Severity.ERROR,
    "It holds room on two hosts, counts against the migrations that a host does at a time, and a"
    " host that is its destination must not be taken out of service.",
    "openstack server migration show SERVER ID; then abort it, or find out in the logs of both"
    " hosts what became of it.",
)
VOLUME = Rule(
    "UF-CL-014",
    "a volume has been in a passing state for too long",
    Severity.WARNING,
    "What was begun died with cinder-volume, or waits for the backend. The volume can be neither"
    " attached nor moved, and a restart of cinder-volume may try it again.",
    "Find out what became of it on the backend; then cinder reset-state.",
)

#: cinder/objects/fields.py, VolumeStatus: states that something is to end
PASSING = (
    "creating",
    "deleting",
    "attaching",
    "detaching",
    "reserved",
    "extending",
    "uploading",
    "downloading",
    "retyping",
    "maintenance",
    "backing-up",
    "restoring-backup",
    "reverting",
    "managing",
    "unmanaging",
)


class Instances(Check):
    """Looks at task states, errors and unconfirmed migrations of instances."""

    area = "cloud"
    title = "instances that are stuck"
    rules = (INSTANCE, BROKEN, WAITING)

    def run(self, sources: Sources) -> Iterable[Finding]:
        """Read all servers, and the actions of those of which something is under way."""
        every = servers(sources).values()
        busy = [server for server in every if server.task_state]
        now = sources.cloud.clock.time()
        begun = concurrently(lambda server: _begun(sources, server), busy)
        for server, since in zip(busy, begun, strict=True):
            if since is not None and now - since > sources.limits.stuck_s:
                yield INSTANCE.found(
                    server.id,
                    f"{server.name} on {server.host or 'no host'} has been {server.task_state} for"
                    f" {ago(now - since)}",
                    INSTANCE.remedy.replace("SERVER", server.id),
                    name=server.name,
                    host=server.host,
                    task_state=server.task_state,
                    seconds=round(now - since),
                )
        for server in every:
            about = {"name": server.name, "host": server.host}
            if server.status == "ERROR":
                message = f"{server.name} on {server.host or 'no host'} is in ERROR: {server.fault}"
                yield BROKEN.found(server.id, message, **about, fault=server.fault)
            elif server.status == "VERIFY_RESIZE":
                command = f"openstack server migrate confirm {server.id}, or revert"
                message = f"{server.name} on {server.host} waits to be confirmed"
                yield WAITING.found(server.id, message, command, **about)


def _begun(sources: Sources, server: Server) -> float | None:
    """Return when the last action on a server was begun; None if it has ended meanwhile."""
    try:
        actions = sources.cloud.compute.actions(server.id)
        if sources.cloud.compute.server(server.id).task_state != server.task_state:
            return None
    except errors.NotFound:
        return None
    if actions:
        return actions[-1].start
    return epoch(server.created) if server.created else None


class Migrations(Check):
    """Looks at migrations that have not ended."""

    area = "cloud"
    title = "migrations that are stuck"
    rules = (MIGRATION,)

    def run(self, sources: Sources) -> Iterable[Finding]:
        """Read the open migrations; what waits to be confirmed is the instance's finding."""
        now = sources.cloud.clock.time()
        statuses = [status for status in OPEN if status != "finished"]
        for one in migrations(sources, statuses):
            moment = one.updated or one.created
            age = now - epoch(moment) if moment else 0.0
            if age <= sources.limits.stuck_s:
                continue
            again = {item.id: item for item in sources.cloud.compute.migrations(one.server_id)}
            still = again.get(one.id)
            if still is None or still.status != one.status or still.updated != one.updated:
                continue
            yield MIGRATION.found(
                one.id,
                f"the {one.kind} of {one.server_id} from {one.source} to"
                f" {one.destination or 'nowhere yet'} has been {one.status} for {ago(age)}",
                f"openstack server migration show {one.server_id} {one.id}; then abort it, or find"
                " out in the logs of both hosts what became of it.",
                server=one.server_id,
                status=one.status,
                source=one.source,
                destination=one.destination,
                seconds=round(age),
            )


class Volumes(Check):
    """Looks at volumes in passing states."""

    area = "cloud"
    title = "volumes that are stuck"
    rules = (VOLUME,)

    def run(self, sources: Sources) -> Iterable[Finding]:
        """Ask for each passing state."""
        since = sources.cloud.clock.time() - sources.limits.stuck_s
        for status in PASSING:
            for volume in sources.cloud.volumes.unchanged(status, since):
                yield VOLUME.found(
                    volume.id,
                    f"volume {volume.name or volume.id} on {volume.backend or 'no backend'} has"
                    f" been {status} for more than {ago(sources.limits.stuck_s)}",
                    "Find out what became of it on the backend; then"
                    f" cinder reset-state --state available {volume.id}",
                    name=volume.name,
                    status=status,
                    backend=volume.backend,
                )
