"""From an inventory to one action per instance: where its surrogate goes, or all that forbids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud.api import Cloud
from upgrade_flows.cloud.collect import select
from upgrade_flows.errors import RequestError
from upgrade_flows.flows import seen
from upgrade_flows.flows.capability import Assessment
from upgrade_flows.flows.live_update import placing, rules
from upgrade_flows.flows.live_update.case import Case, device_of, make
from upgrade_flows.flows.live_update.hosts import Hosts
from upgrade_flows.flows.live_update.neighbours import Neighbours
from upgrade_flows.flows.live_update.options import Options
from upgrade_flows.flows.live_update.placing import NoPlace, Place
from upgrade_flows.flows.live_update.room import Ledger
from upgrade_flows.model import codec
from upgrade_flows.model.inventory import Image, Inventory
from upgrade_flows.model.plan import Action, Prediction
from upgrade_flows.model.report import Finding, Severity
from upgrade_flows.model.request import UpgradeRequest
from upgrade_flows.plugins.base import WorkloadPlugin
from upgrade_flows.steps.base import Plugins

NAME = "live_update"

#: seconds that users notice: of the cut-over, for each volume that moves, and for a boot more
HOT_S, COLD_S, VOLUME_S, RESTART_S = 3.0, 12.0, 1.0, 20.0
#: seconds besides: the way back and the boot, and a live migration with its memory
BOOT_S, MOVE_S, MOVE_S_PER_GIB = 60.0, 10.0, 8.0

#: what is another afterwards, wherever it runs; of scheduler hints only the group is kept
DECLARED = (
    "id", "name", "user_id", "root_device_name", "volumes", "ports", "vif_modes", "locked",
    "locked_reason", "tags", "scheduler_hints",
)  # fmt: skip


def assess(request: UpgradeRequest, inventory: Inventory, plugins: Plugins) -> Assessment:
    """Find a place for the surrogate of each instance in scope that needs one.

    :raises RequestError: an option is wrong, or names what does not exist; so does the scope.
    """
    options = Options.read(request.target.options)
    workload = _workload(options, plugins)
    new = _image(options, inventory)
    if request.target.strategy != "auto":
        raise RequestError(f"there is no strategy {request.target.strategy!r} (known: auto)")
    if options.health_network and options.health_network not in inventory.networks:
        raise RequestError(f"health_network {options.health_network}: there is no such network")
    hosts = Hosts(inventory, plugins, options, request.target.hosts)
    ledger = Ledger(inventory)
    scope = select(inventory, request.scope)
    neighbours = Neighbours(inventory, plugins, ledger, hosts, {server.id for server in scope})
    actions: list[Action] = []
    findings: list[Finding] = []
    unchanged: list[str] = []
    for server in scope:
        case = make(inventory, plugins, options, workload, ledger, server, new)
        if case.done:
            unchanged.append(server.id)
            continue
        refused = [
            _finding(case, number, Severity.REFUSED, reason, remedy)
            for number, rule, remedy in rules.RULES
            if (reason := rule(case)) is not None
        ]
        found = placing.place(case, hosts, neighbours) if case.host and case.host.up else None
        if isinstance(found, NoPlace):
            remedy = "free room, allow other hosts or moves, or commit others first and plan again"
            refused.append(
                _finding(case, "UF-LU-022", Severity.REFUSED, f"no room for a second instance:"
                         f" {found.reason}", remedy, found.free)
            )  # fmt: skip
        if refused or not isinstance(found, Place):
            findings += refused
            continue
        placing.take(case, found)
        ledger.charged[server.project_id].update(rules.needs(case))
        findings += _remarks(case, found)
        actions.append(_action(case, found))
    return Assessment(tuple(actions), (*findings, *hosts.findings()), tuple(unchanged))


def moved(cloud: Cloud, plugins: Plugins, action: Action) -> str | None:
    """Return what of an instance, or of where it goes, is no longer as it was planned, or None."""
    changed = seen.moved(cloud, plugins, action)
    if changed is not None:
        return changed
    host, image = action.details["target_host"], action.details["image"]
    try:
        service = cloud.compute.service(host)
        if not service.enabled or not service.up:
            return f"{host}, where it goes, is {'down' if service.enabled else 'disabled'}"
        status = cloud.images.image(image).status if image else "active"
    except errors.NotFound as exc:
        return f"what it needs does not exist any more: {exc}"
    return None if status == "active" else f"image {image} is {status}"


def _workload(options: Options, plugins: Plugins) -> WorkloadPlugin:
    if options.workload not in plugins.workload:
        known = ", ".join(sorted(plugins.workload)) or "none is installed"
        raise RequestError(f"there is no workload plugin {options.workload!r} (known: {known})")
    plugin: WorkloadPlugin = plugins.workload[options.workload]
    plugin.check(options.settings)
    if options.update and not plugin.updates(options.settings):
        raise RequestError(
            f"the workload plugin {options.workload} does not update boot disks with these"
            " settings: give an image instead"
        )
    return plugin


def _image(options: Options, inventory: Inventory) -> Image | None:
    """Return the image that is asked for by id or name.

    :raises RequestError: there is none, or several have the name.
    """
    if not options.image:
        return None
    known = inventory.image(options.image)
    named = [known] if known else [one for one in inventory.images if one.name == options.image]
    if not named:
        raise RequestError(f"there is no image {options.image!r}")
    if len(named) > 1:
        ids = ", ".join(one.id for one in named)
        raise RequestError(f"several images are called {options.image}: {ids}")
    return named[0]


def _action(case: Case, found: Place) -> Action:
    server, options = case.server, case.options
    ports = [p.port for p in case.ports]
    digests = seen.seen(server, ports, {p.port.id: p.wanted for p in case.ports})
    whole = not case.data and not case.workload.needs_ssh(options.settings)
    flavor = case.inventory.flavor_of(server)
    return Action(
        capability=NAME,
        subject=server.id,
        name=server.name,
        strategy=found.strategy,
        because=found.because,
        declares=tuple(_declared(case, found)),
        details={
            "host": server.host,
            "target_host": found.host,
            "policy": found.policy,
            "flavor_id": flavor.id if flavor else "",
            "project_id": server.project_id,
            "user_id": server.user_id,
            "status": server.status,
            "image": case.new.id if case.new else "",
            "boot": "volume" if server.volume_backed else "image",
            "root": _root(case),
            "update": options.update,
            "resources": case.demand.amounts,
            "moves": [
                {"server": m.server, "name": m.name, "source": m.source, "target": m.target}
                for m in found.moves
            ],
            "volumes": [volume.id for volume in case.data],
            "ports": [
                {
                    "id": port.id,
                    "mac": port.mac_address,
                    "network_id": port.network_id,
                    "addresses": [pair[1] for pair in port.fixed_ips],
                }
                for port in ports
            ],
            "health_network": options.health_network or ports[0].network_id,
            "group": case.group.id if case.group else "",
            "key_name": server.key_name or "",
            "workload": {"plugin": options.workload, "settings": options.settings},
            "cut": case.cut,
            "restart": case.restart,
            "ready": list(options.first_probes(whole)),
            "probes": list(options.last_probes),
            "grace_s": options.grace_s,
            "room_s": options.room_s,
            "ready_s": options.ready_s,
            "answer_s": options.ready_s if case.restart else options.answer_s,
            "seen": digests,
        },
        prediction=_prediction(case, found),
        digest=codec.digest(digests),
    )


def _root(case: Case) -> dict[str, Any] | None:
    """Return what the flow has to know of the root volume; ``snapshot`` is what the image is of."""
    if case.root is None:
        return None
    held = next(one for one in case.server.volumes if one.volume_id == case.root.id)
    return {
        "volume_id": case.root.id,
        "size_gb": case.root.size_gb,
        "volume_type": case.root.volume_type,
        "delete_on_termination": held.delete_on_termination,
        "device": device_of(case.server, case.root),
        "snapshot": str((case.mapping or {}).get("snapshot_id") or ""),
    }


def _declared(case: Case, found: Place) -> Iterator[str]:
    yield from DECLARED
    if not case.server.volume_backed:
        yield "image_id"
    if found.host != case.server.host:
        yield "host"
    if _zone(case, found.host) != _zone(case, case.server.host):
        yield "availability_zone"


def _prediction(case: Case, found: Place) -> Prediction:
    """Predict the cut-over, and what comes before it while the original serves."""
    down = (HOT_S if case.cut == "hot" else COLD_S) + VOLUME_S * len(case.data)
    down += RESTART_S if case.restart else 0.0
    before = BOOT_S
    for move in found.moves:
        gib = case.inventory.server(move.server).flavor.memory_mb / 1024
        before += MOVE_S + MOVE_S_PER_GIB * gib
    return Prediction(downtime_s=down, duration_s=down + before)


def _remarks(case: Case, found: Place) -> Iterator[Finding]:
    """Yield what an operator should know of an instance that is updated."""
    here, there = _zone(case, case.server.host), _zone(case, found.host)
    if here != there and case.server.volumes:
        yield _finding(
            case, "UF-LU-030", Severity.WARNING,
            f"it goes from zone {here} to zone {there}; its volumes can be attached there only if"
            " Nova allows that ([cinder] cross_az_attach)",
            "see that it does, or name hosts of the same zone in the request (target: hosts)",
        )  # fmt: skip
    changed = [p for p in case.ports if p.differs]
    if changed:
        said = ", ".join(f"port {p.port.id} is bound as {p.bound}" for p in changed)
        yield _finding(
            case, "UF-LU-031", Severity.WARNING,
            f"{said}, and its host binds it as {changed[0].wanted} now: so it will be, also if the"
            " update is taken back",
            "nothing, if that is what the host was changed for",
        )  # fmt: skip
    if case.demand.pages:
        yield _finding(
            case, "UF-LU-033", Severity.WARNING,
            f"it asks for huge pages ({case.demand.pages}), and nobody knows how many"
            f" {found.host} has left: Nova may refuse the second instance, and nothing is changed",
            "see that there are enough pages for two",
        )  # fmt: skip


def _zone(case: Case, name: str) -> str:
    host = case.inventory.host(name)
    return host.availability_zone if host else ""


def _finding(
    case: Case,
    number: str,
    severity: Severity,
    reason: str,
    remedy: str,
    evidence: dict[str, Any] | None = None,
) -> Finding:
    return Finding(
        id=number,
        subject=case.server.id,
        severity=severity,
        message=f"{case.server.name}: {reason}",
        remedy=remedy.format(server=case.server.id),
        evidence=evidence or {},
    )
