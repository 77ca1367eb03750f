"""Live updates of instances in which nobody runs: all is real but the guest."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from openstack import exceptions

from tests.functional.instances import changes
from tests.functional.runs import Runs
from tests.lab import api
from upgrade_flows.model.plan import Gate, Plan, Wave
from upgrade_flows.model.request import Rollout, Scope, Target, UpgradeRequest
from upgrade_flows.plugins.workload.stateless import Stateless


class Unmanned(Stateless):
    """What there is to be told goes unheard: ``{"cut": "hot"}`` or ``{"cut": "cold"}``."""

    def check(self, settings: dict[str, Any]) -> None:
        assert set(settings) == {"cut"}

    def cut(self, settings: dict[str, Any], has_data_volumes: bool) -> str:
        return str(settings["cut"])

    def reboots(self, settings: dict[str, Any]) -> bool:
        return False

    def updates(self, settings: dict[str, Any]) -> bool:
        return True

    def update(self, guest: Any, settings: dict[str, Any], device: str) -> None:
        assert device.startswith("/dev/disk/by-id/virtio-")


#: options of a request; the last two are what the command line and conductors know, too
HOT = {"workload": "unmanned", "settings": {"cut": "hot"}}
CLONED = {"update": True, "workload": "unmanned", "settings": {"cut": "cold"}}
PLAIN = {"workload": "stateless", "settings": {"reboot": False}}
REBOOTED = {"workload": "stateless"}


class Updates(Runs):
    """The live updates of one test module, in a journal of its own, to an image of its own.

    :param prefix: how the names of all begin that the module makes.
    """

    def __init__(self, cloud: Any, folder: Path, prefix: str) -> None:
        super().__init__(cloud, folder)
        workload = {**self.plugins.workload, "unmanned": Unmanned()}
        self.plugins = dataclasses.replace(self.plugins, workload=workload)
        self.prefix = prefix
        self.image = f"{prefix}new"
        self.renew()

    def renew(self) -> None:
        """Make the image that instances are updated to, unless it is there."""
        if api.shared("lab-admin").image.find_image(self.image):
            return
        api.shared("lab-admin").image.create_image(
            name=self.image,
            data=b"new" + bytes(1024 * 1024 - 3),
            disk_format="raw",
            container_format="bare",
            visibility="public",
        )

    def asked(
        self, server_ids: Iterable[str], options: Mapping[str, Any], hosts: tuple[str, ...] = ()
    ) -> Plan:
        """Plan to update servers live, whatever is found."""
        scope = Scope(servers=tuple(server_ids))
        image = None if options.get("update") else self.image
        target = Target(hosts=hosts, options={"grace_s": 0, "image": image, **options})
        return self.planned(UpgradeRequest("live_update", scope, target))

    def plan_all(self, wishes: Mapping[str, Mapping[str, Any]], at_a_time: int) -> Plan:
        """Return one plan in which each server id has the options that it maps to."""
        plans = []
        for options in {repr(one): one for one in wishes.values()}.values():
            plans.append(self.asked([s for s, one in wishes.items() if one == options], options))
        said = [finding.message for plan in plans for finding in plan.findings]
        assert said == []
        actions = tuple(action for plan in plans for action in plan.actions)
        assert len(actions) == len(wishes)
        most = len(actions)
        request = dataclasses.replace(plans[0].request, rollout=Rollout(max_failures=most))
        wave = Wave("all", actions, at_a_time, Gate(max_failures=most))
        return dataclasses.replace(plans[0], request=request, waves=(wave,)).sealed()

    def clear(self) -> None:
        """Delete all that the module has made, and whatever its runs have left."""
        marks = (self.prefix, *(f"{run.id}/" for run in self.journal.runs()))
        self.journal.close()
        clear(marks)


def held_by(server_id: str) -> dict[str, list[str]]:
    """Return MACs of the ports and ids of the volumes, but for the root's, that a server holds."""
    cloud = api.shared("lab-admin")
    server = cloud.compute.get_server(server_id)
    held = cloud.compute.volume_attachments(server_id)
    return {
        "ports": sorted(port.mac_address for port in cloud.network.ports(device_id=server_id)),
        "volumes": sorted(one.volume_id for one in held if one.device != server.root_device_name),
    }


def but_for_new_ports(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return what differs between two truths of an instance, with ports told by their MACs."""
    return changes(_by_mac(before), _by_mac(after))


def _by_mac(truth: dict[str, Any]) -> dict[str, Any]:
    macs = {port_id: port["mac_address"] for port_id, port in truth["ports"].items()}
    return {
        **truth,
        "ports": {macs[key]: {**port, "id": ""} for key, port in truth["ports"].items()},
        "floating_ips": {macs[key]: ips for key, ips in truth["floating_ips"].items()},
    }


def clear(marks: tuple[str, ...]) -> None:
    """Delete the servers, with all that is at them, and the rest whose names begin so."""
    cloud = api.shared("lab-admin")
    compute, network, storage = cloud.compute, cloud.network, cloud.block_storage

    def ours(things: Iterable[Any]) -> list[Any]:
        return [one for one in things if (one.name or "").startswith(marks)]

    def servers() -> list[Any]:
        return ours(compute.servers(all_projects=True, details=True))

    found = servers()
    ports = [port.id for one in found for port in network.ports(device_id=one.id)]
    floating = [ip.id for ip in network.ips() if ip.port_id in ports]
    volumes = {volume.id for one in found for volume in one.attached_volumes}

    def disks() -> list[Any]:
        listed = list(storage.volumes(all_projects=True))
        return [one for one in listed if one.id in volumes] + ours(listed)

    _away(servers, compute.delete_server)
    _away(lambda: [ip for ip in network.ips() if ip.id in floating], network.delete_ip)
    _away(lambda: [p for p in network.ports() if p.id in ports], network.delete_port)
    _away(lambda: ours(network.ports()), network.delete_port)
    _away(lambda: ours(storage.snapshots(all_projects=True)), storage.delete_snapshot)
    _away(disks, lambda one: storage.delete_volume(one, force=True))
    _away(lambda: ours(cloud.image.images()), cloud.image.delete_image)
    _away(lambda: ours(compute.flavors(is_public=None)), compute.delete_flavor)


def _away(left: Callable[[], list[Any]], delete: Callable[[Any], object]) -> None:
    """Delete what is left, and wait until it is gone; bounded."""
    for one in left():
        with suppress(exceptions.NotFoundException):
            delete(one)
    end = time.monotonic() + 120
    while found := left():
        assert time.monotonic() < end, f"not deleted: {[one.name for one in found]}"
        time.sleep(0.5)
