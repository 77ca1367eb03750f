"""The evidence that steps wait for, in the words of the services."""

from __future__ import annotations

from collections.abc import Callable

from upgrade_flows import errors
from upgrade_flows.cloud import wait
from upgrade_flows.model.inventory import Image, Port, Server, Volume
from upgrade_flows.steps.base import Context


def quiet(ctx: Context, server_id: str, deadline_s: float | None = None) -> Server:
    """Wait until Nova is doing nothing to a server, and return it.

    A step that runs again after a crash may find its first attempt still going on.

    :raises NotFound: the server is gone.
    """
    return wait.until(
        ctx.cloud.clock,
        f"server {server_id} to have no task",
        lambda: ctx.cloud.compute.server(server_id),
        lambda server: server.task_state is None,
        deadline_s=deadline_s or ctx.settings.server_s,
    )


def reaches(
    ctx: Context,
    server_id: str,
    *statuses: str,
    deadline_s: float | None = None,
    head_s: float = 0.0,
    failed: Callable[[Server], str | None] = lambda _: None,
) -> Server:
    """Wait until a server is in one of ``statuses`` with no task, and return it.

    :raises StepFailed: it went to ERROR, or ``failed`` gave a reason.
    :raises TimedOut: it did not get there; the message holds the last status.
    """

    def wrong(server: Server) -> str | None:
        if server.status == "ERROR" and "ERROR" not in statuses:
            return f"server {server_id} is in ERROR: {server.fault or 'no fault given'}"
        return failed(server)

    return wait.until(
        ctx.cloud.clock,
        f"server {server_id} to be {' or '.join(statuses)}",
        lambda: ctx.cloud.compute.server(server_id),
        lambda server: server.status in statuses and server.task_state is None,
        wrong,
        deadline_s=deadline_s or ctx.settings.server_s,
        head_s=head_s,
    )


def starts(ctx: Context, server_id: str) -> Server:
    """Wait for a start that was accepted to end with the server ACTIVE.

    A start that fails leaves the server SHUTOFF without a fault (a port that could not be
    plugged, for instance): that is told from one that has not begun by its instance action.

    :raises StepFailed: the start ended and the server is still off.
    """
    return reaches(
        ctx,
        server_id,
        "ACTIVE",
        head_s=0.3,
        failed=lambda server: (
            f"server {server_id} did not start: see its last instance action"
            if server.status == "SHUTOFF"
            and server.task_state is None
            and _last_action_ended(ctx, server_id, "start")
            else None
        ),
    )


def _last_action_ended(ctx: Context, server_id: str, action: str) -> bool:
    actions = ctx.cloud.compute.actions(server_id)
    if not actions or actions[-1].action != action or actions[-1].finish is None:
        return False
    # the status may have changed between the two reads
    return ctx.cloud.compute.server(server_id).status == "SHUTOFF"


def gone(ctx: Context, server_id: str, deadline_s: float | None = None) -> None:
    """Wait until a deleted server is really gone."""

    def fetch() -> Server | None:
        try:
            return ctx.cloud.compute.server(server_id)
        except errors.NotFound:
            return None

    wait.until(
        ctx.cloud.clock,
        f"server {server_id} to be gone",
        fetch,
        lambda server: server is None or server.status in ("DELETED", "SOFT_DELETED"),
        lambda server: (
            f"deleting server {server_id} failed: {server.fault}"
            if server is not None and server.status == "ERROR" and server.task_state is None
            else None
        ),
        deadline_s=deadline_s or ctx.settings.server_s,
    )


def with_addresses(ctx: Context, server_id: str, wanted: tuple[str, ...]) -> Server:
    """Wait until Nova's network cache of a server holds the given addresses."""
    return wait.until(
        ctx.cloud.clock,
        f"Nova to know {', '.join(wanted)} as addresses of server {server_id}",
        lambda: ctx.cloud.compute.server(server_id),
        lambda server: set(wanted) <= set(server.addresses),
        deadline_s=ctx.settings.port_s,
    )


def volume_is(ctx: Context, volume_id: str, status: str) -> Volume:
    """Wait until a volume has a status and, if that is ``available``, no attachment."""
    return wait.until(
        ctx.cloud.clock,
        f"volume {volume_id} to be {status}",
        lambda: ctx.cloud.volumes.volume(volume_id),
        lambda volume: (
            volume.status == status and (status != "available" or not volume.attachments)
        ),
        lambda volume: (
            f"volume {volume_id} is {volume.status}" if volume.status.startswith("error") else None
        ),
        deadline_s=ctx.settings.volume_s,
    )


def image_active(ctx: Context, image_id: str) -> Image:
    """Wait until an image is active and has a size."""
    return wait.until(
        ctx.cloud.clock,
        f"image {image_id} to be active",
        lambda: ctx.cloud.images.image(image_id),
        lambda image: image.status == "active",
        lambda image: (
            f"image {image_id} is {image.status}"
            if image.status in ("killed", "deleted", "pending_delete", "deactivated")
            else None
        ),
        deadline_s=ctx.settings.image_s,
    )


def port_active(ctx: Context, port_id: str) -> Port:
    """Wait until the L2 agent has said that a port is plugged."""
    return wait.until(
        ctx.cloud.clock,
        f"port {port_id} to be ACTIVE",
        lambda: ctx.cloud.network.port(port_id),
        lambda port: port.status == "ACTIVE",
        lambda port: (
            f"port {port_id} could not be bound on {port.binding_host}"
            if port.vif_type == "binding_failed"
            else None
        ),
        deadline_s=ctx.settings.port_s,
    )
