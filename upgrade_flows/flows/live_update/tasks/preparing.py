"""Before the surrogate: what the original is, whether it can be carried, and a way back."""

from __future__ import annotations

import ipaddress
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud import wait
from upgrade_flows.flows.live_update.tasks.base import LiveStep
from upgrade_flows.model.inventory import Server
from upgrade_flows.model.plan import Action
from upgrade_flows.steps import waiting
from upgrade_flows.steps.base import Context, note, undo


class RecordGuest(LiveStep):
    """Record how the guest is reached and configured, for what comes after the move.

    Provides ``recorded``: ``addresses`` (the best first), ``nics`` (MAC, addresses with prefix,
    gateway) and ``floating`` (by port: id, address, fixed address).  Changes nothing, so there
    is nothing to revert.
    """

    default_provides = "recorded"

    def execute(self, before: dict[str, Any]) -> dict[str, Any]:
        network = self.ctx.cloud.network
        floating: dict[str, list[list[str]]] = {}
        fixed: list[str] = []
        nics = []
        for port in before["identity"]["ports"]:
            floating[port["id"]] = [
                [ip.id, ip.address, ip.fixed_address or ""]
                for ip in network.floating_ips(port["id"])
            ]
            fixed += [pair[1] for pair in port["fixed_ips"]]
            nics.append(self._nic(port))
        floated = [ip[1] for ips in floating.values() for ip in ips]
        return {"addresses": [*floated, *fixed], "nics": nics, "floating": floating}

    def _nic(self, port: dict[str, Any]) -> dict[str, Any]:
        addresses, gateway = [], ""
        for subnet_id, address in port["fixed_ips"]:
            subnet = self.ctx.cloud.network.subnet(subnet_id)
            prefix = ipaddress.ip_network(subnet.cidr).prefixlen
            addresses.append(f"{address}/{prefix}")
            gateway = gateway or subnet.gateway
        return {"mac": port["mac_address"], "addresses": addresses, "gateway": gateway}


class CheckWorkload(LiveStep):
    """Ask the workload plugin whether it can carry what runs in the guest.

    Changes nothing, so there is nothing to revert.
    """

    def execute(self, recorded: dict[str, Any]) -> None:
        reasons = self.plugin.refusals(self.guest(recorded), self.settings)
        if reasons:
            raise errors.StepFailed(
                f"the workload of {self.name_of_original} cannot be carried: {'; '.join(reasons)}"
            )


class SnapshotRoot(LiveStep):
    """Snapshot the root volume of a running server: the way back that outlives the change.

    Provides the ``way_back``.  Reverted by deleting every snapshot that bears this step's tag.
    """

    default_provides = "way_back"

    def execute(self) -> dict[str, Any]:
        volumes = self.ctx.cloud.volumes
        found = [one for one in volumes.find_snapshots(self.tag) if usable(one.status)]
        snapshot = found[0] if found else volumes.create_snapshot(self.subject, self.tag)
        snapshot_is_there(self.ctx, snapshot.id)
        return {"snapshot": snapshot.id}

    def revert(self, **_: object) -> dict[str, Any] | None:
        return undo(self, self._delete_all)

    def _delete_all(self) -> None:
        for snapshot in self.ctx.cloud.volumes.find_snapshots(self.tag):
            if snapshot.status == "creating":
                snapshot_is_there(self.ctx, snapshot.id)
            delete_snapshot(self.ctx, snapshot.id)


class MigrateAway(LiveStep):
    """Live-migrate another instance to another host, so that there is room for the surrogate.

    Other runs are kept from it meanwhile.  Done when it runs on the host that the plan named.
    Reverted by migrating it back; where that does not work it stays, and that is reported: it
    is as well off where it is.
    """

    def __init__(self, ctx: Context, action: Action, move: dict[str, str]) -> None:
        super().__init__(ctx, action, move["server"])
        self.source, self.target = move["source"], move["target"]

    def execute(self) -> None:
        self._migrate(self.source, self.target)

    def revert(self, **_: object) -> dict[str, Any] | None:
        try:
            server = waiting.quiet(self.ctx, self.subject)
            if server.host == self.target:
                self._migrate(self.target, self.source)
        except errors.NotFound:
            return None
        except errors.UpgradeFlowsError as exc:
            return note(self, f"server {self.subject} stays on {self.target}: {exc}")
        return None

    def _migrate(self, source: str, target: str) -> None:
        self.ctx.records.hold(self.subject)
        try:
            self._move(source, target)
        finally:
            self.ctx.records.release(self.subject)

    def _move(self, source: str, target: str) -> None:
        server = waiting.quiet(self.ctx, self.subject)
        if server.host == target:
            return
        if server.host != source:
            raise errors.StepFailed(f"server {self.subject} is on {server.host}, not on {source}")
        compute = self.ctx.cloud.compute
        before = len(compute.migrations(self.subject))
        compute.live_migrate(self.subject, target)
        settings = self.ctx.settings

        def came_to_nothing(seen: Server) -> str | None:
            if seen.task_state is not None or seen.host == target:
                return None
            last = compute.migrations(self.subject)[before:]
            if last and last[-1].ended and last[-1].status != "completed":
                return f"its live migration to {target} ended as {last[-1].status}"
            return None

        wait.until(
            self.ctx.cloud.clock,
            f"server {self.subject} to run on {target}",
            lambda: compute.server(self.subject),
            lambda seen: seen.host == target and seen.task_state is None,
            came_to_nothing,
            deadline_s=settings.live_migration_s
            + settings.live_migration_s_per_gib * server.flavor.memory_mb / 1024,
        )


def usable(status: str) -> bool:
    """Whether a volume or snapshot of that status is, or may become, available."""
    return status in ("creating", "downloading", "available", "in-use")


def snapshot_is_there(ctx: Context, snapshot_id: str) -> None:
    """Wait until a snapshot is available."""
    wait.until(
        ctx.cloud.clock,
        f"snapshot {snapshot_id} to be available",
        lambda: ctx.cloud.volumes.snapshot(snapshot_id),
        lambda snapshot: snapshot.status == "available",
        lambda snapshot: (
            f"it is {snapshot.status}" if snapshot.status.startswith("error") else None
        ),
        deadline_s=ctx.settings.image_s,
    )


def delete_snapshot(ctx: Context, snapshot_id: str) -> None:
    """Delete a snapshot, and wait until it is gone."""
    volumes = ctx.cloud.volumes

    def status() -> str:
        try:
            return volumes.snapshot(snapshot_id).status
        except errors.NotFound:
            return ""

    if status() != "deleting":
        volumes.delete_snapshot(snapshot_id)
    wait.until(
        ctx.cloud.clock,
        f"snapshot {snapshot_id} to be gone",
        status,
        lambda now: not now,
        lambda now: "it cannot be deleted" if now.startswith("error") else None,
        deadline_s=ctx.settings.volume_s,
    )
