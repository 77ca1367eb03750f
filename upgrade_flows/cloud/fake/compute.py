"""The fake Nova, put together: what can be read of servers, keys, quotas, and the other parts."""

from __future__ import annotations

import dataclasses

from upgrade_flows import errors
from upgrade_flows.cloud.api import InstanceAction
from upgrade_flows.cloud.fake.creating import Creating
from upgrade_flows.cloud.fake.devices import Devices
from upgrade_flows.cloud.fake.hosts import Hosts
from upgrade_flows.cloud.fake.lifecycle import Base, Lifecycle
from upgrade_flows.cloud.fake.live import LiveMigrations
from upgrade_flows.cloud.fake.moves import Moves
from upgrade_flows.cloud.fake.records import Instance
from upgrade_flows.cloud.fake.shelving import Shelving
from upgrade_flows.model.inventory import (
    AttachedVolume,
    Flavor,
    Quota,
    Server,
    ServerGroup,
)

_UNLIMITED = {"instances": -1, "cores": -1, "ram": -1, "server_group_members": -1}


class Reads(Base):
    """What an administrator reads of servers."""

    def servers(
        self, host: str | None = None, project_id: str | None = None, tag: str | None = None
    ) -> tuple[Server, ...]:
        """Return servers of all projects, as the listing shows them."""
        world = self._world
        ids = world.instances if host is None else world.servers_on.get(host, {})
        found = (world.instances[server_id] for server_id in ids)
        bare: dict[int, Flavor] = {}
        return tuple(
            self._listed(instance, bare)
            for instance in found
            if (project_id is None or instance.server.project_id == project_id)
            and (tag is None or tag in instance.server.tags)
        )

    def server(self, server_id: str) -> Server:
        """Return one server, with its group and its scheduler hints."""
        instance = self._world.instance(server_id)
        return dataclasses.replace(
            self._listed(instance),
            server_group=self._world.group_of.get(server_id),
            scheduler_hints=dict(instance.server.scheduler_hints),
        )

    def attachments(self, server_id: str) -> tuple[AttachedVolume, ...]:
        """Return the volumes of a server, with device, tag and delete flag."""
        return tuple(self._world.instance(server_id).volumes)

    def console(self, server_id: str, lines: int | None = None) -> str:
        """Return what the guest has written as its ``console``; a login prompt without that."""
        server = self._world.instance(server_id).server
        if not server.host or server.status == "BUILD":
            raise errors.Conflict(f"Instance {server_id} is not ready")
        written = self._world.guests.get(server_id, {}).get("console")
        text = f"{server.hostname} login:\n" if written is None else str(written)
        return text if lines is None else "".join(text.splitlines(keepends=True)[-lines:])

    def actions(self, server_id: str) -> tuple[InstanceAction, ...]:
        """Return the instance's actions, also those of a server that is gone."""
        if server_id not in self._world.actions:
            self._world.instance(server_id)
        return tuple(self._world.actions.get(server_id, ()))

    def _listed(self, instance: Instance, bare: dict[int, Flavor] | None = None) -> Server:
        """Return a server as the listing shows it: the flavor without id, bare volumes.

        :param bare: flavors without id of a listing, which its servers share.
        """
        server, ports = instance.server, self._world.ports
        bare = {} if bare is None else bare
        kind = id(server.flavor)
        if kind not in bare:
            bare[kind] = dataclasses.replace(server.flavor, id="")
        return dataclasses.replace(
            server,
            flavor=bare[kind],
            metadata=dict(server.metadata),
            server_group=None,
            scheduler_hints={},
            fault=server.fault if server.status == "ERROR" else "",
            volumes=tuple(
                AttachedVolume(held.volume_id, held.delete_on_termination)
                for held in instance.volumes
            ),
            addresses=tuple(
                address[1]
                for nic in instance.nics
                if nic.port_id in ports
                for address in ports[nic.port_id].fixed_ips
            ),
        )


class Compute(Reads, Lifecycle, Creating, Moves, Shelving, LiveMigrations, Devices, Hosts):
    """Nova."""

    def groups(self) -> tuple[ServerGroup, ...]:
        """Return the server groups of all projects."""
        return tuple(self._world.groups.values())

    def flavors(self) -> tuple[Flavor, ...]:
        """Return all flavors, also the private ones, with extra specs."""
        return tuple(self._world.flavors.values())

    def keypairs(self, user_id: str) -> tuple[str, ...]:
        """Return the names of a user's keys."""
        return tuple(self._world.keypairs.get(user_id, {}))

    def public_key(self, user_id: str, name: str) -> str:
        """Return the public part of a user's key."""
        try:
            return self._world.keypairs.get(user_id, {})[name]
        except KeyError:
            raise errors.NotFound(f"Keypair {name} not found for user {user_id}") from None

    def import_keypair(self, name: str, public_key: str) -> None:
        """Import a key for ourselves.

        :raises Conflict: we have one of that name.
        """
        keys = self._world.keypairs[self._world.own_user_id]
        if name in keys:
            raise errors.Conflict(f"Key pair '{name}' already exists.")
        keys[name] = public_key

    def delete_keypair(self, name: str) -> None:
        """Delete a key of ourselves."""
        own = self._world.own_user_id
        if name not in self._world.keypairs[own]:
            raise errors.NotFound(f"Keypair {name} not found for user {own}")
        del self._world.keypairs[own][name]

    def own_user_id(self) -> str:
        """Return the id of the user that we are."""
        return self._world.own_user_id

    def quota(self, project_id: str) -> Quota:
        """Return limits and usage of a project; a project nobody has seen has neither."""
        used = self._world.usage.get(project_id, {"instances": 0, "cores": 0, "ram": 0})
        return Quota(
            limits={**_UNLIMITED, **self._world.limits.get(project_id, {})}, used=dict(used)
        )
