"""Booting an instance on a host that is back, to see that it works, and removing it."""

from __future__ import annotations

import socket
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud import wait
from upgrade_flows.cloud.api import NewServer
from upgrade_flows.flows.host_upgrade.options import CanaryInstance
from upgrade_flows.flows.host_upgrade.tasks.base import HostStep
from upgrade_flows.flows.host_upgrade.tasks.fencing import fence, give_back
from upgrade_flows.model.inventory import Server
from upgrade_flows.steps import waiting
from upgrade_flows.steps.base import undo


class ProveWithCanary(HostStep):
    """Boot an instance on the host, probe it and remove it; where that fails, fence the host.

    Nova places nothing on a disabled host, not even by force, so this comes right after the
    host has been enabled; where it runs once more, it enables it again.  Provides ``canary``:
    what came of it, in words.  Whatever happens the instance is removed; reverted by looking for
    it once more.
    """

    default_provides = "canary"

    def execute(self, host_before: dict[str, Any]) -> str:
        wanted = self.options.canary_instance
        if wanted is None:
            return "none was asked for"
        if not host_before["service"]["enabled"]:
            return "none: the host was disabled before, and is so again"
        left = give_back(self, host_before)
        if left:
            raise errors.StepFailed(left["residue"]["why"])
        try:
            self._remove()
            said = self._prove(wanted)
            self._remove()
        except errors.UpgradeFlowsError:
            fence(self.ctx, self.host)
            undo(self, self._remove)
            raise
        return said

    def revert(self, **_: object) -> dict[str, Any] | None:
        return undo(self, self._remove)

    def _prove(self, wanted: CanaryInstance) -> str:
        compute, clock = self.ctx.cloud.compute, self.ctx.cloud.clock
        began = clock.monotonic()
        server_id = compute.create(
            NewServer(
                name=f"upgrade-flows-canary-{self.host}",
                project_id="",
                flavor_id=self._flavor(wanted.flavor),
                ports=(),
                network=wanted.network or None,
                host=self.host,
                boot_image=self._image(wanted.image),
                tags=(self.short_tag,),
            )
        )
        server = waiting.reaches(
            self.ctx, server_id, "ACTIVE", deadline_s=self.ctx.settings.image_s
        )
        if server.host != self.host:
            raise errors.StepFailed(f"the canary of {self.host} was booted on {server.host}")
        if wanted.probe:
            self._probe(server, int(wanted.probe.partition(":")[2]))
        return f"booted and removed: ACTIVE after {clock.monotonic() - began:.1f} s"

    def _probe(self, server: Server, port: int) -> None:
        def answers() -> bool:
            for address in server.addresses:
                try:
                    socket.create_connection((address, port), 1.0).close()
                except OSError:
                    continue
                return True
            return False

        wait.until(
            self.ctx.cloud.clock,
            f"the canary of {self.host} to take a connection at port {port}",
            answers,
            bool,
            deadline_s=self.ctx.settings.server_s,
            most_s=2.0,
        )

    def _remove(self) -> None:
        compute = self.ctx.cloud.compute
        for server in list(compute.servers(tag=self.short_tag)):
            compute.delete(server.id)
            waiting.gone(self.ctx, server.id)

    def _flavor(self, said: str) -> str:
        for flavor in self.ctx.cloud.compute.flavors():
            if said in (flavor.id, flavor.name):
                return flavor.id
        raise errors.StepFailed(f"the canary's flavor {said!r} does not exist")

    def _image(self, said: str) -> str | None:
        if not said:
            return None
        for image in self.ctx.cloud.images.images():
            if said in (image.id, image.name):
                return image.id
        raise errors.StepFailed(f"the canary's image {said!r} does not exist")
