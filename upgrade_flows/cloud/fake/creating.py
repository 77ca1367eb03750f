"""Creating a server: what Nova refuses at once, what becomes an ERROR later, what it builds."""

from __future__ import annotations

import dataclasses
import re

from upgrade_flows import errors
from upgrade_flows.cloud.api import NewServer
from upgrade_flows.cloud.fake import binding, mapped, scheduler
from upgrade_flows.cloud.fake.lifecycle import Base
from upgrade_flows.cloud.fake.operations import BREAK, begin, finishes, record, states
from upgrade_flows.cloud.fake.records import Instance, Nic, Operation
from upgrade_flows.cloud.fake.world import World, resources
from upgrade_flows.model.inventory import AttachedVolume, Flavor, Server, VolumeAttachment

#: what becomes of a server on a port of which another existing server has a record: the table
#: ``virtual_interfaces`` allows one record of a port (``uniq_virtual_interfaces0address0deleted``)
NO_NETWORK = "Build of instance aborted: Failed to allocate the network(s), not rescheduling."


class Creating(Base):
    """``POST /servers``."""

    def create(self, new: NewServer) -> str:
        """Create a server as ourselves: its user is us, whoever owned the original."""
        world = self._world
        flavor = world.flavors.get(new.flavor_id)
        if flavor is None:
            raise errors.Conflict(f"Flavor {new.flavor_id} could not be found.")
        hostname = new.hostname or sanitized(new.name)
        self._check(new, flavor, hostname)
        server_id = world.new_id("server")
        root = next((item for item in new.volumes if item.boot_index == 0), None)
        volume_backed = root is not None or mapped.boots(world, new.boot_image)
        taken = resources(flavor, volume_backed)
        host = scheduler.pick(
            world, taken, new.host, new.availability_zone, new.server_group, server_id
        )
        server = Server(
            id=server_id,
            name=new.name,
            project_id=new.project_id,
            user_id=world.own_user_id,
            host=host or "",
            hypervisor_hostname=host or "",
            flavor=flavor,
            image_id=(new.boot_image or "") if root is None else "",
            availability_zone=world.hosts[host].host.availability_zone if host else "",
            pinned_availability_zone=new.availability_zone,
            description=new.description,
            hostname=hostname,
            key_name=new.key_name,
            user_data=new.user_data,
            config_drive=new.config_drive,
            root_device_name="/dev/vda",
            metadata=dict(new.metadata),
            tags=tuple(new.tags),
            server_group=new.server_group,
            scheduler_hints={"group": new.server_group} if new.server_group else {},
            disk_config=new.disk_config or "MANUAL",
            trusted_image_certificates=tuple(new.trusted_image_certificates),
            created=world.timestamp(),
            **{**states("BUILD"), "task_state": "spawning" if host else "scheduling"},
        )
        made = mapped.volumes_of(world, new.boot_image, new.project_id) if root is None else ()
        instance = Instance(server, volumes=_devices((*made, *new.volumes)))
        world.put_instance(instance)
        if new.server_group:
            world.join_group(server_id, new.server_group)
        for held in instance.volumes:
            attach(world, server_id, held, "reserved")
        if host:
            world.allocate(server_id, host, taken)
            for port_id in new.ports:
                instance.nics.append(Nic(port_id, preserve_on_delete=True))
                take_port(world, instance.server, port_id)
        action = record(world, server_id, "create")
        begin(world, self._faults, "compute.create", server_id, action)
        return server_id

    def _check(self, new: NewServer, flavor: Flavor, hostname: str) -> None:
        world = self._world
        if new.project_id in world.closed_projects:
            raise errors.Forbidden(f"no role in project {new.project_id}")
        for kind, amount in (("instances", 1), ("cores", flavor.vcpus), ("ram", flavor.memory_mb)):
            limit = world.limits.get(new.project_id, {}).get(kind, -1)
            used = world.usage.get(new.project_id, {}).get(kind, 0)
            if 0 <= limit < used + amount:
                raise errors.Forbidden(
                    f"Quota exceeded for {kind}: Requested {amount}, "
                    f"but already used {used} of {limit} {kind}"
                )
        if new.key_name and new.key_name not in world.keypairs[world.own_user_id]:
            raise errors.Conflict("Invalid key_name provided.")
        if new.host is not None and new.host not in world.hosts:
            raise errors.Conflict(f"Compute host {new.host} could not be found.")
        self._check_group(new)
        self._check_disks(new, flavor)
        for port_id in new.ports:
            self._check_port(new, port_id, hostname)

    def _check_group(self, new: NewServer) -> None:
        if new.server_group is None:
            return
        group = self._world.groups.get(new.server_group)
        if group is None:
            raise errors.Conflict(f"Instance group {new.server_group} could not be found.")
        limit = self._world.limits.get(new.project_id, {}).get("server_group_members", -1)
        if 0 <= limit <= len(group.members):
            raise errors.Forbidden("Quota exceeded, too many servers in group")

    def _check_disks(self, new: NewServer, flavor: Flavor) -> None:
        world = self._world
        root = any(item.boot_index == 0 for item in new.volumes)
        if not root:
            image = world.images.get(new.boot_image or "")
            if image is None:
                raise errors.Conflict(f"Can not find requested image {new.boot_image}")
            if image.status != "active":
                raise errors.Conflict(f"Image {image.id} is not active.")
            if 0 < flavor.disk_gb < image.min_disk:
                raise errors.Conflict("Flavor's disk is too small for requested image.")
            mapped.check(world, image.id)
        for item in new.volumes:
            volume = world.volumes.get(item.volume_id)
            if volume is None:
                raise errors.Conflict(f"Block Device Mapping is Invalid: {item.volume_id}")
            if volume.status != "available":
                raise errors.Conflict(
                    f"Invalid volume: volume {volume.id} status must be 'available', "
                    f"currently in '{volume.status}' status"
                )

    def _check_port(self, new: NewServer, port_id: str, hostname: str) -> None:
        port = self._world.ports.get(port_id)
        if port is None:
            raise errors.Conflict(f"Port id {port_id} could not be found.")
        if port.device_id:
            raise errors.Conflict(f"Port {port_id} is still in use.")
        if port.project_id != new.project_id:
            raise errors.Conflict(f"Port {port_id} not usable for project {new.project_id}.")
        if port.dns_name not in ("", hostname):
            raise errors.Conflict(
                f"Port {port_id} not usable: DNS name {port.dns_name} is not {hostname}"
            )


def take_port(world: World, server: Server, port_id: str) -> None:
    """Give a port to a server and bind it to the server's host, as Nova does."""
    port = world.port(port_id)
    world.put_port(
        dataclasses.replace(
            port,
            device_id=server.id,
            device_owner=f"compute:{server.availability_zone or 'nova'}",
            dns_name=server.hostname,
        )
    )
    binding.unbind(world, port_id)
    binding.bind(world, port_id, server.host)


def attach(world: World, server_id: str, held: AttachedVolume, status: str) -> None:
    """Let Cinder know that a server holds a volume."""
    volume = world.volume(held.volume_id)
    others = tuple(item for item in volume.attachments if item.server_id != server_id)
    mine = VolumeAttachment(server_id, held.device, world.new_id("attachment"))
    world.volumes[volume.id] = dataclasses.replace(
        volume, status=status, attachments=(*others, mine)
    )
    world.touch_volume(volume.id)


def detach(world: World, server_id: str, volume_id: str) -> None:
    """Let Cinder know that a server has let go of a volume."""
    volume = world.volumes.get(volume_id)
    if volume is None:
        return
    left = tuple(item for item in volume.attachments if item.server_id != server_id)
    world.volumes[volume_id] = dataclasses.replace(
        volume, status="in-use" if left else "available", attachments=left
    )


def free_device(held: list[AttachedVolume], wanted: str = "") -> str:
    """Return the device that a hint gets: itself if it is free, else the next letter."""
    taken = {item.device for item in held}
    if wanted and wanted not in taken:
        return wanted
    letters = (f"/dev/vd{letter}" for letter in "bcdefghijklmnopqrstuvwxyz")
    return next(device for device in letters if device not in taken)


def sanitized(name: str) -> str:
    """Return the hostname that Nova makes of a display name."""
    return re.sub(r"[^a-z0-9.-]+", "", re.sub(r"[ _]", "-", name.lower())).strip(".-")[:63]


def _devices(volumes: tuple[AttachedVolume, ...]) -> list[AttachedVolume]:
    result: list[AttachedVolume] = []
    for item in volumes:
        device = "/dev/vda" if item.boot_index == 0 else free_device(result, item.device)
        boot_index = 0 if item.boot_index == 0 else None
        result.append(dataclasses.replace(item, device=device, boot_index=boot_index))
    return result


@finishes("compute.create")
def _created(world: World, operation: Operation) -> str:
    server_id = operation.subject
    instance = world.instance(server_id)
    if not instance.server.host:
        world.set_server(server_id, **states("ERROR"), fault=scheduler.NO_VALID_HOST)
        return scheduler.NO_VALID_HOST
    if any(world.vifs.get(nic.port_id, server_id) != server_id for nic in instance.nics):
        _clean_up(world, server_id, "ERROR", NO_NETWORK)
        return NO_NETWORK
    for nic in instance.nics:
        world.vifs[nic.port_id] = server_id
    for held in instance.volumes:
        volume = world.volume(held.volume_id)
        world.volumes[volume.id] = dataclasses.replace(volume, status="in-use")
    world.set_server(server_id, **states("ACTIVE"))
    return ""


def _create_broken(world: World, operation: Operation) -> None:
    _clean_up(world, operation.subject, operation.broken, "Build of instance aborted")


def _clean_up(world: World, server_id: str, status: str, fault: str) -> None:
    """Clean up as nova-compute does after a failed build.

    The ports are released; the volumes are detached, and deleted if they were to go with the
    server.  Host and allocation stay until the server is deleted.
    """
    instance = world.instance(server_id)
    for nic in instance.nics:
        if nic.port_id in world.ports:
            binding.release(world, nic.port_id)
    instance.nics = []
    for held in instance.volumes:
        detach(world, server_id, held.volume_id)
        if held.delete_on_termination and not world.has_snapshots(held.volume_id):
            world.volumes.pop(held.volume_id, None)
    instance.volumes = []
    world.set_server(server_id, **states(status), fault=fault)


BREAK["compute.create"] = _create_broken
