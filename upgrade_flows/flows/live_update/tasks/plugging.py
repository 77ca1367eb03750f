"""Plug volumes and ports in, also where Nova is a moment behind Cinder and Neutron."""

from __future__ import annotations

from upgrade_flows import errors
from upgrade_flows.cloud import wait
from upgrade_flows.model.inventory import AttachedVolume, Port
from upgrade_flows.steps.base import Context


def attach_volume(ctx: Context, volume: AttachedVolume, source: str, target: str) -> None:
    """Have Nova begin to attach a volume that has just left another server.

    A volume is free in Cinder before Nova has forgotten that ``source`` had it; until then Nova
    refuses it (400).

    :raises Conflict: Nova refuses it though nobody has it.
    """
    compute, forgotten = ctx.cloud.compute, list[bool]()

    def accepted() -> bool:
        try:
            compute.attach_volume(target, volume)
        except errors.Conflict:
            if volume.volume_id in {one.volume_id for one in compute.attachments(source)}:
                return False
            if forgotten:
                raise
            forgotten.append(True)  # just now, perhaps
            return False
        return True

    wait.until(
        ctx.cloud.clock,
        f"Nova to take volume {volume.volume_id} for server {target}",
        accepted,
        bool,
        deadline_s=ctx.settings.volume_s,
        most_s=0.25,
    )


def attach_port(ctx: Context, port: Port, target: str) -> None:
    """Attach a port that has just left another server, as it is known to be now.

    A port is free in Neutron before Nova has forgotten that another server had it; until then
    Nova fails (500) to plug it in.
    """
    cloud, seen = ctx.cloud, [port]

    def attached() -> bool:
        now = seen.pop() if seen else cloud.network.port(port.id)
        if now.device_id != target:
            cloud.compute.attach_port(target, port.id)
        return True

    wait.until(
        cloud.clock,
        f"port {port.id} to be attached to server {target}",
        attached,
        bool,
        deadline_s=ctx.settings.port_s,
    )
