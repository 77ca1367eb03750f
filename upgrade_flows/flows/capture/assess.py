"""From an inventory to one action per instance: what becomes part of its image, or why not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud.api import Cloud
from upgrade_flows.cloud.collect import select
from upgrade_flows.flows.capability import Assessment
from upgrade_flows.flows.capture.options import Options
from upgrade_flows.model import codec
from upgrade_flows.model.inventory import Inventory, Port, Server, Volume
from upgrade_flows.model.plan import Action, Prediction
from upgrade_flows.model.report import Finding, Severity
from upgrade_flows.model.request import UpgradeRequest

#: statuses in which Nova copies a root disk
SNAPSHOTTABLE = ("ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED")

#: what Cinder adds to the properties of the image that a volume was made of; Nova leaves it out
_OF_THE_IMAGE = (
    "image_id", "image_name", "size", "checksum", "container_format", "disk_format", "min_ram",
    "min_disk", "block_device_mapping", "bdm_v2", "root_device_name", "signature_verified",
)  # fmt: skip

#: seconds that it takes, as expected
PER_GIB_S, PER_VOLUME_S, VERIFY_S, RESTART_S = 20.0, 5.0, 60.0, 10.0


@dataclass(frozen=True)
class Case:
    """One instance in scope, with what is known of it."""

    inventory: Inventory
    options: Options
    server: Server

    @property
    def root(self) -> Volume | None:
        """The volume that it boots from, or None if its root disk is no volume."""
        if not self.server.volume_backed:
            return None
        held = self.inventory.volumes_of(self.server)
        if len(held) == 1:
            return held[0]
        return next((one for one in held if self.device(one) == self.server.root_device_name), None)

    @property
    def data(self) -> tuple[Volume, ...]:
        """Its other volumes, by device."""
        held = self.inventory.volumes_of(self.server)
        others = [volume for volume in held if volume != self.root]
        return tuple(sorted(others, key=self.device))

    @property
    def chosen(self) -> tuple[Volume, ...]:
        """The data volumes that become part of the image."""
        return tuple(one for one in self.data if {one.id, one.name} & set(self.options.volumes))

    @property
    def name(self) -> str:
        """The name of the image."""
        day = self.inventory.taken_at[:10].replace("-", "")
        return self.options.name or f"{self.server.name}-{day}"

    @property
    def port(self) -> Port | None:
        """Its first port, by the addresses as Nova orders them."""
        ports = self.inventory.ports_of(self.server.id)
        first = self.server.addresses[:1]
        by_address = [p for p in ports if {pair[1] for pair in p.fixed_ips} & set(first)]
        return next(iter(by_address or sorted(ports, key=lambda port: port.id)), None)

    @property
    def network(self) -> str:
        """The network that the image is booted in; empty for none."""
        return self.options.network or (self.port.network_id if self.port else "")

    @property
    def flavor_id(self) -> str | None:
        """The id of the flavor that the image is booted with; None if there is none."""
        wanted = self.options.flavor or self.server.flavor.name
        return next(
            (one.id for one in self.inventory.flavors if wanted in (one.id, one.name)), None
        )

    def device(self, volume: Volume) -> str:
        """Return under which device it has a volume."""
        held = (at.device for at in volume.attachments if at.server_id == self.server.id)
        return next(held, "")


def assess(request: UpgradeRequest, inventory: Inventory, plugins: Any) -> Assessment:
    """Work out what of each instance in scope becomes part of its image.

    :raises RequestError: an option makes no sense, or the scope names what does not exist.
    """
    options = Options.read(dict(request.target.options))
    servers = select(inventory, request.scope)
    if options.name and len(servers) > 1:
        raise errors.RequestError(
            f"{len(servers)} instances cannot be captured under one name; leave the name out"
        )
    actions: list[Action] = []
    findings: list[Finding] = []
    for server in servers:
        case = Case(inventory, options, server)
        refused = list(_refusals(case))
        findings += refused or list(_remarks(case))
        if not refused:
            actions.append(_action(case))
    return Assessment(tuple(actions), tuple(findings))


def seen(server: Server) -> dict[str, str]:
    """Return short digests of what must not move between plan and run, by what it is."""
    plain = codec.to_plain(server)
    parts = {key: plain[key] for key in ("name", "status", "task_state", "host", "image_id")}
    parts["volumes"] = sorted(held["volume_id"] for held in plain["volumes"])
    return {name: codec.digest(part)[:16] for name, part in parts.items()}


def moved(cloud: Cloud, plugins: Any, action: Action) -> str | None:
    """Return what of an instance is no longer as it was planned, or None."""
    try:
        now = seen(cloud.compute.server(action.subject))
    except errors.NotFound:
        return "it does not exist any more"
    then = action.details["seen"]
    names = sorted(name for name in now if now[name] != then.get(name))
    return f"changed since it was planned: {', '.join(names)}" if names else None


def _refusals(case: Case) -> Iterator[Finding]:
    server, options = case.server, case.options
    states = ("ACTIVE", "SHUTOFF") if options.stop else SNAPSHOTTABLE
    if server.status not in states or server.task_state is not None:
        state = server.status + (f", {server.task_state}" if server.task_state else "")
        wanted = f"bring it into one of {', '.join(states)}, or wait for its task to end"
        yield _refused(case, "UF-CP-001", f"it is {state}", wanted)
    if options.stop and server.locked and server.status == "ACTIVE":
        yield _refused(
            case,
            "UF-CP-002",
            "it is locked, and to be stopped",
            "ask its owner, then 'openstack server unlock', or capture it without --stop",
        )
    known = {name for volume in case.data for name in (volume.id, volume.name)}
    for name in options.volumes:
        if name not in known:
            yield _refused(
                case,
                "UF-CP-003",
                f"it has no data volume {name}",
                f"'openstack server volume list {server.id}' shows them",
            )
    if server.volume_backed and case.root is None:
        yield _refused(
            case,
            "UF-CP-004",
            f"which of its volumes is the root disk ({server.root_device_name}) is not known",
            "compare 'openstack server volume list' with 'openstack volume list --long'",
        )
    if any(image.name == case.name for image in case.inventory.images):
        yield _refused(
            case,
            "UF-CP-005",
            f"there is an image called {case.name} already",
            "say another name with --name, or delete that image",
        )
    if options.verify and case.flavor_id is None:
        yield _refused(
            case,
            "UF-CP-006",
            "the flavor to boot its image with does not exist",
            "name one with --flavor, or capture with --no-verify",
        )
    if options.verify and case.network and case.network not in case.inventory.networks:
        yield _refused(
            case,
            "UF-CP-007",
            f"there is no network {case.network}",
            "give the id of one with --network, or capture with --no-verify",
        )


def _remarks(case: Case) -> Iterator[Finding]:
    server = case.server
    if server.status == "ACTIVE" and not case.options.stop:
        yield _remark(
            case,
            "UF-CP-010",
            "it runs on while its disks are copied: each is as after a power cut, and not all of"
            " them of the same moment",
            "--stop stops it meanwhile",
        )
    left = [volume.name or volume.id for volume in case.data if volume not in case.chosen]
    if left:
        yield _remark(
            case,
            "UF-CP-011",
            f"not part of the image: {', '.join(left)}",
            "name what is to be with --volume",
        )
    if server.flavor.ephemeral_gb or server.flavor.swap_mb:
        yield _remark(
            case,
            "UF-CP-012",
            "its ephemeral and swap disks are not part of the image",
            "keep nothing there that is needed",
        )


def _action(case: Case) -> Action:
    server, root, port = case.server, case.root, case.port
    disks = ([root] if root else []) + list(case.chosen)
    flags = {held.volume_id: held.delete_on_termination for held in server.volumes}
    closed = server.project_id in case.inventory.closed_projects
    digests = seen(server)
    return Action(
        capability="capture",
        subject=server.id,
        name=server.name,
        strategy="volumes" if root else "image",
        because=() if root else ("its root disk is no volume",),
        details={
            "name": case.name,
            "status": server.status,
            "stop": case.options.stop,
            "boot": "volume" if root else "image",
            "project_id": "" if closed else server.project_id,
            "root_device": server.root_device_name,
            "properties": _properties(root),
            "volumes": [
                {
                    "volume_id": volume.id,
                    "size_gb": volume.size_gb,
                    "device": case.device(volume),
                    "boot_index": 0 if volume == root else None,
                    "delete_on_termination": flags.get(volume.id, False),
                }
                for volume in disks
            ],
            "verify": case.options.verify,
            "flavor_id": case.flavor_id or "",
            "config_drive": server.config_drive,
            "network": case.network,
            "security_groups": list(port.security_groups) if port and case.options.probes else [],
            "port_security": port.port_security_enabled if port else True,
            "probes": list(case.options.probes),
            "seen": digests,
        },
        prediction=_predict(case, disks),
        digest=codec.digest(digests),
    )


def _properties(root: Volume | None) -> dict[str, str]:
    """Return what the image of a root volume has to say of the guest, as Nova would say it."""
    if root is None:
        return {}
    said = root.image_properties.items()
    return {key: str(value) for key, value in said if key not in _OF_THE_IMAGE}


def _predict(case: Case, disks: list[Volume]) -> Prediction:
    copying = PER_VOLUME_S * len(disks)
    if case.root is None:
        copying += PER_GIB_S * case.server.flavor.disk_gb
    down = case.options.stop and case.server.status == "ACTIVE"
    restart = RESTART_S if down else 0.0
    return Prediction(
        downtime_s=copying + restart if down else 0.0,
        duration_s=copying + restart + (VERIFY_S if case.options.verify else 0.0),
    )


def _refused(case: Case, number: str, reason: str, remedy: str) -> Finding:
    return Finding(
        number, case.server.id, Severity.REFUSED, f"{case.server.name}: {reason}", remedy
    )


def _remark(case: Case, number: str, what: str, remedy: str) -> Finding:
    return Finding(number, case.server.id, Severity.INFO, f"{case.server.name}: {what}", remedy)
