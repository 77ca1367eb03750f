"""Guests that are updated live: made as their owner makes them, planned, and cleaned away."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openstack import exceptions

from tests.functional.instances import owner, reaches, truth
from tests.functional.runs import Runs
from tests.lab import api, waiting
from tests.lab.guest import live
from tests.lab.hosts import access, probe, seed
from upgrade_flows.engine.operations import Engine
from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import State
from upgrade_flows.model.request import Rollout, Scope, Target, UpgradeRequest

HERE, THERE = "virt1", "virt2"
NETWORK = "guest-net"
OLD, NEW = live.OLD.name, live.NEW.name
OLD_KERNEL, NEW_KERNEL = "6.1.", "6.12."
#: where the service with its state on the data volume answers
PORT = 8080
#: how the names of all that is made here begin
OURS = "lu-"
#: what the operator says of the service
HOOKS = {"quiesce": "/bin/app stop", "mount": "/bin/app start"}


@dataclass(frozen=True)
class Wish:
    """A guest that is to be made at 10.88.0.``number``, with a port of its owner's."""

    name: str
    number: int
    host: str = HERE
    flavor: str = "live"
    image: str = OLD
    data: bool = True
    volume_backed: bool = False
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Guest:
    """A guest that runs, and what belongs to it."""

    id: str
    name: str
    address: str
    mac: str
    port: str
    volume: str = ""

    def ask(self, page: str = "state", seconds: float = 180) -> dict[str, Any]:
        """Return what its service says of itself; ``bump`` makes it count one further."""
        return dict(json.loads(probe.get(f"{self.address}:{PORT}", page, seconds)))

    def page(self, path: str, seconds: float = 180) -> str:
        """Return what its web server answers, which has no state."""
        return probe.get(self.address, path, seconds)

    def polled(self) -> probe.Probe:
        """Return what asks its service every 10 ms."""
        return probe.Probe(self.address, port=PORT, path="/state")


def make(*wishes: Wish) -> list[Guest]:
    """Make guests, side by side; they serve when this returns."""
    cloud = owner()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda wish: _make(cloud, wish), wishes))


def _make(cloud: Any, wish: Wish) -> Guest:
    name = OURS + wish.name
    port = cloud.network.create_port(
        name=name,
        network_id=cloud.network.find_network(NETWORK).id,
        # a guest gives an interface of such a MAC this address, whenever it is plugged in
        mac_address=f"fa:16:3e:58:00:{wish.number:02x}",
        fixed_ips=[{"ip_address": f"10.88.0.{wish.number}"}],
    )
    disks = [_root(cloud, wish)]
    volume = ""
    if wish.data:
        made = cloud.block_storage.create_volume(name=name, size=1)
        cloud.block_storage.wait_for_status(made, "available", wait=120, interval=0.3)
        volume = made.id
        disks.append(
            {
                "uuid": volume,
                "source_type": "volume",
                "destination_type": "volume",
                "boot_index": -1,
                "delete_on_termination": True,
            }
        )
    server = cloud.compute.create_server(
        name=name,
        flavor_id=cloud.compute.find_flavor(wish.flavor).id,
        image_id="" if wish.volume_backed else disks[0]["uuid"],
        block_device_mapping=disks,
        host=wish.host,
        key_name=seed.KEYPAIR,
        config_drive=True,
        metadata={"role": wish.name, **wish.metadata},
        tags=["blue", "night"],
        networks=[{"port": port.id}],
    )
    reaches(cloud, server.id, "ACTIVE")
    address = f"10.88.0.{wish.number}"
    guest = Guest(server.id, name, address, port.mac_address, port.id, volume)
    guest.page("boot_id", 300)
    if wish.data and not wish.metadata:
        guest.ask(seconds=180)
    return guest


def _root(cloud: Any, wish: Wish) -> dict[str, Any]:
    root = {
        "uuid": cloud.image.find_image(wish.image).id,
        "source_type": "image",
        "destination_type": "volume" if wish.volume_backed else "local",
        "boot_index": 0,
        "delete_on_termination": True,
    }
    return root | ({"volume_size": 1} if wish.volume_backed else {})


class Updates:
    """The live updates of one test module, in a journal of its own."""

    def __init__(self, cloud: Any, folder: Path) -> None:
        self.runs = Runs(cloud, folder)
        self.journal = self.runs.journal

    def plan(
        self,
        *guests: Guest | str,
        rollout: Rollout = Rollout(),
        hosts: tuple[str, ...] = (),
        **said: Any,
    ) -> Plan:
        """Plan to give guests, or those of a name, the new image.

        :param said: options of the request.
        """
        options = {
            "image": None if said.get("update") else NEW,
            "workload": "hooks",
            "probes": [{"tcp": PORT}],
            "ready_s": 300,
            **said,
        }
        if options["workload"] != "stateless":
            settings = {"ssh": {"key": str(access.guest_key())}}
            options["settings"] = settings | options.get("settings", HOOKS)
        scope = Scope(servers=tuple(one if isinstance(one, str) else one.id for one in guests))
        target = Target(hosts=hosts, options=options)
        plan = self.runs.planned(UpgradeRequest("live_update", scope, target, rollout))
        assert plan.findings == ()
        return plan

    def engine(self) -> Engine:
        """Return an engine as a process of its own would have it."""
        return self.runs.engine()

    def run(self, plan: Plan) -> str:
        """Run a plan as far as it goes, and return the run's id."""
        return self.runs.run(plan)

    def result(self, run_id: str, guest: Guest) -> dict[str, Any]:
        """Return what became of a guest that was changed."""
        record = self.journal.subject(run_id, guest.id)
        assert (record.state, record.error) == (State.CHANGED, "")
        return dict(record.result)


def told(server_id: str, guest: Guest) -> dict[str, Any]:
    """Return what the services say of an instance that has the address of a guest, and no other.

    Nova forgets a moment later than Neutron which other port it had.
    """

    def known() -> bool:
        nets = api.shared("lab-admin").compute.get_server(server_id).addresses.values()
        return [one["addr"] for net in nets for one in net] == [guest.address]

    waiting.until(f"Nova knows {guest.address} as the only address of {server_id}", known)
    return truth(server_id)


def clear(updates: Updates, *more: str) -> None:
    """Delete all that was made here, and whatever runs have left; ``more``: ids of others."""
    cloud = api.shared("lab-admin")
    runs = (*more, *(run.id for run in updates.journal.runs()))
    begin = (OURS, *(f"{run}/" for run in runs))

    held: set[str] = set()

    def ours(things: Iterable[Any]) -> list[Any]:
        return [one for one in things if one.id in held or (one.name or "").startswith(begin)]

    servers = ours(cloud.compute.servers(all_projects=True))
    # a root volume has no name, and outlives its server where it has a snapshot
    held |= {disk.id for server in servers for disk in server.attached_volumes}
    _away(lambda: ours(cloud.compute.servers(all_projects=True)), cloud.compute.delete_server)
    _away(lambda: ours(cloud.network.ports()), cloud.network.delete_port)
    storage = cloud.block_storage
    _away(
        lambda: ours(storage.snapshots(all_projects=True)),
        lambda one: storage.delete_snapshot(one, force=True),
    )
    _away(
        lambda: ours(storage.volumes(all_projects=True)),
        lambda one: storage.delete_volume(one, force=True),
    )
    _away(lambda: ours(cloud.image.images()), cloud.image.delete_image)


def _away(left: Callable[[], list[Any]], delete: Callable[[Any], object]) -> None:
    """Delete what is left, and wait until it is gone; bounded."""
    for one in left():
        with contextlib.suppress(exceptions.NotFoundException):
            delete(one)
    end = time.monotonic() + 600
    while found := left():
        assert time.monotonic() < end, f"not deleted: {[one.name for one in found]}"
        time.sleep(0.5)
