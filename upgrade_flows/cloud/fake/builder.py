"""Putting a fake cloud together: hosts, flavors, images, networks and servers, at once."""

from __future__ import annotations

import dataclasses
from typing import Any

from upgrade_flows.cloud.fake import binding
from upgrade_flows.cloud.fake.creating import sanitized
from upgrade_flows.cloud.fake.host_builder import HostBuilder
from upgrade_flows.cloud.fake.operations import states
from upgrade_flows.cloud.fake.records import Instance, NetworkRecord, Nic
from upgrade_flows.cloud.fake.world import resources
from upgrade_flows.model.inventory import (
    AttachedVolume,
    Flavor,
    FloatingIP,
    Image,
    Port,
    Server,
    ServerGroup,
    Snapshot,
    Volume,
    VolumeAttachment,
)


class Builder(HostBuilder):
    """What a test, or a what-if, says about the cloud before anything runs.

    Nothing here is recorded as a call, takes time, or can be made to fail.
    """

    def add_flavor(
        self, name: str, vcpus: int = 1, memory_mb: int = 2_048, disk_gb: int = 20, **more: Any
    ) -> str:
        """Add a flavor and return its id."""
        flavor = Flavor(self.world.new_id("flavor"), name, vcpus, memory_mb, disk_gb, **more)
        self.world.flavors[flavor.id] = flavor
        return flavor.id

    def add_image(self, name: str, status: str = "active", **more: Any) -> str:
        """Add an image and return its id."""
        fields = {"size": 1 << 30, "visibility": "public", "disk_format": "qcow2", **more}
        image = Image(self.world.new_id("image"), name, status, **fields)
        self.world.images[image.id] = image
        return image.id

    def add_network(self, name: str) -> str:
        """Add a network with one subnet and return its id."""
        network = NetworkRecord(
            self.world.new_id("network"),
            name,
            self.world.new_id("subnet"),
            len(self.world.networks),
        )
        self.world.networks[network.id] = network
        return network.id

    def add_group(
        self,
        policy: str = "anti-affinity",
        name: str = "",
        project: str = "project-1",
        group_id: str = "",
    ) -> str:
        """Add a server group and return its id, which may be given."""
        known = group_id or self.world.new_id("group")
        group = ServerGroup(known, name or policy, policy, (), project)
        self.world.groups[group.id] = group
        return group.id

    def add_key(self, user: str, name: str, public_key: str = "") -> None:
        """Add a key of a user."""
        self.world.keypairs[user][name] = public_key or f"ssh-ed25519 AAAA{name} {user}"

    def add_port(self, network: str = "", project: str = "project-1", **fields: Any) -> str:
        """Add a free port and return its id; without a network, on the first one."""
        record = self._network(0) if not network else self.world.networks[network]
        record.taken += 1
        host_part = record.taken + 9
        self.world.counter += 1
        mac = f"{self.world.counter % (1 << 24):06x}"
        port = Port(
            id=self.world.new_id("port"),
            network_id=record.id,
            mac_address=f"fa:16:3e:{mac[:2]}:{mac[2:4]}:{mac[4:]}",
            project_id=project,
            fixed_ips=(
                (record.subnet_id, f"10.{record.number}.{host_part // 256}.{host_part % 256}"),
            ),
            security_groups=(f"default-{project}",),
        )
        self.world.put_port(dataclasses.replace(port, **fields))
        return port.id

    def add_volume(
        self, name: str = "", size_gb: int = 10, project: str = "project-1", **fields: Any
    ) -> str:
        """Add a free volume and return its id."""
        volume = Volume(
            id=self.world.new_id("volume"),
            name=name,
            status="available",
            size_gb=size_gb,
            project_id=project,
        )
        self.world.volumes[volume.id] = dataclasses.replace(volume, **fields)
        return volume.id

    def add_snapshot(self, volume_id: str, name: str = "", **fields: Any) -> str:
        """Add a snapshot of a volume and return its id."""
        volume = self.world.volume(volume_id)
        snapshot = Snapshot(
            id=self.world.new_id("snapshot"),
            name=name,
            status="available",
            volume_id=volume_id,
            size_gb=volume.size_gb,
            project_id=volume.project_id,
        )
        self.world.snapshots[snapshot.id] = dataclasses.replace(snapshot, **fields)
        return snapshot.id

    def add_server(
        self,
        name: str,
        host: str = "",
        image: str = "",
        boot_volume: bool = False,
        nics: int = 1,
        data_volumes: int = 0,
        floating_ip: bool = False,
        status: str = "ACTIVE",
        project: str = "project-1",
        user: str = "user-1",
        group: str | None = None,
        key: str | None = None,
        flavor: str = "",
        preexisting_ports: bool = False,
        delete_on_termination: bool = False,
        **more: Any,
    ) -> str:
        """Add a server that is there already, and return its id.

        :param host: the first host if empty.
        :param boot_volume: boot from a volume instead of ``image``.
        :param preexisting_ports: the ports were made by the owner, so they survive the
            server; else Nova made them and deletes them with it.
        :param delete_on_termination: of all the server's volumes.
        :param more: any other field of ``model.inventory.Server``; also ``id``.
        """
        world = self.world
        host = host or next(iter(world.hosts))
        kind = world.flavors[flavor] if flavor else self._flavor()
        server = Server(
            id=more.pop("id", "") or world.new_id("server"),
            name=name,
            project_id=project,
            user_id=user,
            host=host,
            hypervisor_hostname=host,
            flavor=kind,
            image_id="" if boot_volume else image or self._image(),
            availability_zone=world.hosts[host].host.availability_zone,
            hostname=sanitized(name),
            key_name=key,
            root_device_name="/dev/vda",
            server_group=group,
            scheduler_hints={"group": group} if group else {},
            created=world.timestamp(),
            **states(status),
        )
        instance = Instance(dataclasses.replace(server, **more))
        world.put_instance(instance)
        world.allocate(server.id, host, resources(kind, boot_volume))
        if group:
            world.join_group(server.id, group)
        if key:
            self.add_key(user, key)
        for number in range(nics):
            self._plug(instance, number, preexisting_ports)
        for number in range(data_volumes + boot_volume):
            self._attach(instance, number, boot_volume, delete_on_termination)
        if floating_ip:
            self.add_floating_ip(instance.nics[0].port_id)
        return server.id

    def add_floating_ip(self, port_id: str) -> str:
        """Add a floating IP that leads to a port, and return its address."""
        number = len(self.world.floating_ips) + 1
        fip = FloatingIP(
            id=self.world.new_id("floating-ip"),
            address=f"203.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
            port_id=port_id,
            fixed_address=self.world.ports[port_id].fixed_ips[0][1],
        )
        self.world.floating_ips[fip.id] = fip
        self.world.fips_of[port_id][fip.id] = None
        return fip.address

    def change_server(self, server_id: str, **fields: Any) -> None:
        """Change fields of a server, as its owner or a failure would."""
        self.world.set_server(server_id, **fields)

    def set_dirty_rate(self, server_id: str, bytes_per_s: int) -> None:
        """Say how fast a guest writes its memory; one as fast as the network never converges."""
        self.world.instance(server_id).dirty_rate = bytes_per_s

    def change_port(self, port_id: str, **fields: Any) -> None:
        """Change fields of a port."""
        self.world.put_port(dataclasses.replace(self.world.port(port_id), **fields))

    def change_volume(self, volume_id: str, **fields: Any) -> None:
        """Change fields of a volume."""
        stored = self.world.volume(volume_id)
        self.world.volumes[volume_id] = dataclasses.replace(stored, **fields)
        self.world.touch_volume(volume_id)

    def change_image(self, image_id: str, **fields: Any) -> None:
        """Change fields of an image."""
        stored = self.world.image(image_id)
        self.world.images[image_id] = dataclasses.replace(stored, **fields)

    def manage(self, server_id: str, manager: str) -> None:
        """Say who manages a server ("Heat stack web")."""
        self.world.managed[server_id] = manager

    def limit(self, project: str, **limits: int) -> None:
        """Set quotas of a project (``instances``, ``cores``, ``ram``...)."""
        self.world.limits.setdefault(project, {}).update(limits)

    def close_project(self, project: str) -> None:
        """Take our role in a project away."""
        self.world.closed_projects.add(project)

    def _flavor(self) -> Flavor:
        if not self.world.flavors:
            self.add_flavor("m1.small")
        return next(iter(self.world.flavors.values()))

    def _image(self) -> str:
        if not self.world.images:
            self.add_image("debian")
        return next(iter(self.world.images))

    def _network(self, number: int) -> NetworkRecord:
        while len(self.world.networks) <= number:
            self.add_network(f"net{len(self.world.networks) + 1}")
        return list(self.world.networks.values())[number]

    def _plug(self, instance: Instance, number: int, preexisting: bool) -> None:
        server = instance.server
        port_id = self.add_port(
            self._network(number).id,
            server.project_id,
            device_id=server.id,
            device_owner=f"compute:{server.availability_zone}",
            dns_name=server.hostname,
        )
        binding.bind(self.world, port_id, server.host)
        instance.nics.append(Nic(port_id, preserve_on_delete=preexisting))
        self.world.vifs[port_id] = server.id

    def _attach(self, instance: Instance, number: int, boot_volume: bool, delete: bool) -> None:
        server, root = instance.server, boot_volume and number == 0
        letter = "abcdefghijklmnopqrstuvwxyz"[number + (not boot_volume)]
        held = AttachedVolume(
            volume_id=self.add_volume(
                f"{server.name}-{'root' if root else number}",
                20 if root else 10,
                server.project_id,
                bootable=root,
            ),
            delete_on_termination=delete,
            device=f"/dev/vd{letter}",
            boot_index=0 if root else None,
        )
        instance.volumes.append(held)
        mine = VolumeAttachment(server.id, held.device, self.world.new_id("attachment"))
        self.change_volume(held.volume_id, status="in-use", attachments=(mine,))
