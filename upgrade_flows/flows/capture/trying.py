"""The proof that a captured image boots: a temporary instance of it."""

from __future__ import annotations

from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud import wait
from upgrade_flows.cloud.api import NewServer
from upgrade_flows.flows.capture.tasks import CaptureStep
from upgrade_flows.model.inventory import Port, Server
from upgrade_flows.steps import guest_probes, ports, waiting
from upgrade_flows.steps.base import undo

#: seconds that probes of a temporary instance may take
PROBE_S = 600.0


class TryImage(CaptureStep):
    """Boot the image once, ask what is booted whether it is well, and remove it.

    The temporary instance has a port of its own.  Both bear this step's tag: a second attempt,
    after a crash, adopts them.  Unless something is to be asked, nothing gets to the port or
    from it, for what boots is a copy of somebody's instance.  Provides what was ``verified``.

    Reverted by removing both, and the volumes that Nova made of the snapshots.
    """

    default_provides = "verified"

    def execute(self, boot_source: dict[str, Any], snapshots: dict[str, str]) -> str:
        clock = self.ctx.cloud.clock
        if any(server.task_state == "deleting" for server in self._servers()):
            self._remove()  # an earlier attempt had come so far
        began = clock.monotonic()
        port = self._port()
        server_id = self._boot(boot_source["image"], port)
        said = f"booted: ACTIVE after {clock.monotonic() - began:.0f} s"
        if self.details["probes"]:
            self._ask(server_id, port)
            said += f", answers after {clock.monotonic() - began:.0f} s"
        self._remove()
        return said

    def revert(self, **_: object) -> dict[str, Any] | None:
        return undo(self, self._remove)

    def _port(self) -> Port | None:
        """Adopt the temporary port or make it; None if the plan has no network for it."""
        if not self.details["network"]:
            return None
        network = self.ctx.cloud.network
        found = network.find_ports(self.tag)
        if found:
            return found[0]
        return network.create_port(
            Port(
                id="",
                network_id=self.details["network"],
                mac_address="",
                project_id=self.details["project_id"],
                name=self.tag,
                security_groups=tuple(self.details["security_groups"]),
                port_security_enabled=self.details["port_security"],
            )
        )

    def _boot(self, image_id: str, port: Port | None) -> str:
        """Adopt the temporary instance or boot it; wait until it is ACTIVE."""
        compute = self.ctx.cloud.compute
        found = self._servers()
        server_id = found[0].id if found else compute.create(self._wanted(image_id, port))
        waiting.reaches(self.ctx, server_id, "ACTIVE", deadline_s=self.ctx.settings.image_s)
        return server_id

    def _wanted(self, image_id: str, port: Port | None) -> NewServer:
        return NewServer(
            name=f"upgrade-flows-try-{self.subject}",
            project_id=self.details["project_id"],
            flavor_id=self.details["flavor_id"],
            ports=(port.id,) if port else (),
            boot_image=image_id,
            config_drive=self.details["config_drive"],
            tags=(self.short_tag,),
        )

    def _ask(self, server_id: str, port: Port | None) -> None:
        guest_probes.await_ready(
            self.ctx.cloud.clock,
            list(self.details["probes"]),
            ports.addresses(port) if port else (),
            what=f"the image of {self.subject}",
            console=lambda: self.ctx.cloud.compute.console(server_id),
            run=_cannot_run,
            deadline_s=PROBE_S,
        )

    def _remove(self) -> None:
        for server in self._servers():
            self._remove_server(server)
        for port in self.ctx.cloud.network.find_ports(self.tag):
            self.ctx.cloud.network.delete_port(port.id)

    def _servers(self) -> list[Server]:
        return list(self.ctx.cloud.compute.servers(tag=self.short_tag))

    def _remove_server(self, server: Server) -> None:
        """Delete the temporary instance; the volumes that Nova made for it go with it."""
        compute = self.ctx.cloud.compute
        held = compute.attachments(server.id)
        if server.task_state != "deleting":
            compute.delete(server.id)
        waiting.gone(self.ctx, server.id)
        for volume in held:
            self._volume_gone(volume.volume_id)

    def _volume_gone(self, volume_id: str) -> None:
        def status() -> str:
            try:
                return self.ctx.cloud.volumes.volume(volume_id).status
            except errors.NotFound:
                return ""

        wait.until(
            self.ctx.cloud.clock,
            f"volume {volume_id} to be gone with the server",
            status,
            lambda now: not now,
            lambda now: f"it is {now}" if now.startswith("error") else None,
            deadline_s=self.ctx.settings.volume_s,
        )


def _cannot_run(command: str) -> str:
    raise errors.StepFailed(f"nobody can log in to a temporary instance to run {command!r}")
