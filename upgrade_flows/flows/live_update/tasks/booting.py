"""The surrogate itself, booted where room is held for it."""

from __future__ import annotations

import functools
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud import wait
from upgrade_flows.flows.live_update.tasks.base import LiveStep, delete_server, exists
from upgrade_flows.flows.live_update.tasks.holding import Room
from upgrade_flows.model.inventory import AttachedVolume, Server
from upgrade_flows.model.plan import Action
from upgrade_flows.steps import creating, keys, waiting
from upgrade_flows.steps.base import Context, undo

#: how Nova's faults begin where a server has found no host
NO_HOST = ("No valid host", "Exceeded maximum number of retries")


class BootSurrogate(LiveStep):
    """Boot the surrogate on its own disk and port, where room is held for it.

    The hold is given back just before, because Nova takes room for itself.  Where somebody else
    was faster, room is waited for once more.  The surrogate bears this step's tag: a second
    attempt, after a crash, adopts it.  Done when it is ACTIVE on the host it was meant for.
    Provides the ``surrogate_id``.

    Reverted by deleting it; its disk and its port have steps of their own.
    """

    default_provides = "surrogate_id"

    def execute(self, before: dict[str, Any], hold: dict[str, str], health: dict[str, Any]) -> str:
        return self.boot(before, hold, health, boot_image=str(self.details["image"]))

    def boot(
        self,
        before: dict[str, Any],
        hold: dict[str, str],
        health: dict[str, Any],
        boot_image: str | None = None,
        boot_volume: str | None = None,
    ) -> str:
        """Adopt the surrogate or create it, and wait for it."""
        root = AttachedVolume(boot_volume, boot_index=0) if boot_volume else None
        new = functools.partial(
            creating.new_server,
            self,
            before,
            self.details["flavor_id"],
            self.details["target_host"],
            boot_image=boot_image,
            volumes=(root,) if root else (),
            ports=(health["id"],),
            name=f"{self.name_of_original}-surrogate",
            server_group=self.details["group"] or None,
        )
        room = Room(self, hold["consumer"])
        while True:
            server_id = creating.adopted(self, before["identity"])
            if server_id is None:
                room.hold()
                with room.handed_over():
                    server_id = creating.create(self, before["identity"], new())
                    self._has_found_its_host(server_id)
            try:
                server = creating.up(self, server_id)
            except errors.StepFailed:
                if not self._has_found_no_host(server_id):
                    raise
                self._delete(server_id)
                if not room.hold():
                    raise  # there is room: it was for another reason
                continue
            if server.host != self.details["target_host"]:
                raise errors.StepFailed(
                    f"surrogate {server.id} of {self.original} is on {server.host}, not on"
                    f" {self.details['target_host']}"
                )
            return server.id

    def revert(
        self, before: dict[str, Any], health: dict[str, Any], result: Any = None, **_: object
    ) -> dict[str, Any] | None:
        left = [undo(self, keys.give_back, self, before["identity"]["key_name"])]
        try:
            ids = {server.id for server in self.ctx.cloud.compute.servers(tag=self.short_tag)}
        except errors.UpgradeFlowsError as exc:
            left.append(undo(self, _raising(exc)))
            ids = set()
        if isinstance(result, str):
            ids.add(result)
        left += [undo(self, self._delete, server_id) for server_id in sorted(ids)]
        return next((item for item in left if item), None)

    def _has_found_its_host(self, server_id: str) -> None:
        """Wait until a host has taken the server, or none has."""

        def settled(server: Server) -> bool:
            return bool(server.host) or server.status in ("ACTIVE", "ERROR")

        wait.until(
            self.ctx.cloud.clock,
            f"server {server_id} to find its host",
            lambda: self.ctx.cloud.compute.server(server_id),
            settled,
            deadline_s=self.ctx.settings.server_s,
        )

    def _has_found_no_host(self, server_id: str) -> bool:
        server = self.ctx.cloud.compute.server(server_id)
        fault = server.fault or ""
        return server.status == "ERROR" and not server.host and fault.startswith(NO_HOST)

    def _delete(self, server_id: str) -> None:
        if exists(self.ctx, server_id):
            waiting.quiet(self.ctx, server_id)
            delete_server(self, server_id)
        waiting.gone(self.ctx, server_id)


class BootSurrogateFromVolume(BootSurrogate):
    """Boot the surrogate from the root volume that was made for it; see ``BootSurrogate``."""

    def execute(  # type: ignore[override]
        self, before: dict[str, Any], hold: dict[str, str], health: dict[str, Any], boot_volume: str
    ) -> str:
        return self.boot(before, hold, health, boot_volume=boot_volume)


def boot_step(ctx: Context, action: Action) -> BootSurrogate:
    """Return the step that boots the surrogate, for the kind of root disk that it gets."""
    kind = BootSurrogate if action.details["boot"] == "image" else BootSurrogateFromVolume
    return kind(ctx, action)


def _raising(exc: Exception) -> Any:
    def servers() -> None:
        raise exc

    return servers
