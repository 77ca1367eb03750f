"""Steps that change the state of a server, and those that bring it back."""

from __future__ import annotations

from typing import Any

from upgrade_flows import errors
from upgrade_flows.model.inventory import Server
from upgrade_flows.steps import waiting
from upgrade_flows.steps.base import Context, Step, undo
from upgrade_flows.steps.ports import in_another_mode


class LockServer(Step):
    """Lock a server against its owner while we work on it.

    Reverted by unlocking it, if the lock is ours.
    """

    def execute(self, before: dict[str, Any]) -> None:
        server = self.ctx.cloud.compute.server(self.subject)
        if not server.locked:
            self.ctx.cloud.compute.lock(self.subject, reason(self.ctx))

    def revert(self, **_: object) -> dict[str, Any] | None:
        return undo(self, unlock_ours, self.ctx, self.subject)


class UnlockServer(Step):
    """Give a server back to its owner.

    Reverted by locking it again: what follows is our work on it.
    """

    def execute(self) -> None:
        unlock_ours(self.ctx, self.subject)

    def revert(self, **_: object) -> dict[str, Any] | None:
        return undo(self, self._lock)

    def _lock(self) -> None:
        if not self.ctx.cloud.compute.server(self.subject).locked:
            self.ctx.cloud.compute.lock(self.subject, reason(self.ctx))


class StopServer(Step):
    """Power a server off, so that its disks stop changing.

    Provides when it went down, as epoch seconds; None if it was off already.  Reverted by
    starting it again, if it was running when it was observed.
    """

    default_provides = "down_since"

    def execute(self, before: dict[str, Any]) -> float | None:
        server = waiting.quiet(self.ctx, self.subject)
        now = self.ctx.cloud.clock.time()
        if server.status == "ACTIVE":
            self.ctx.cloud.compute.stop(self.subject)
        waiting.reaches(self.ctx, self.subject, "SHUTOFF", head_s=0.1)
        return now if before["identity"]["status"] == "ACTIVE" else None

    def revert(self, before: dict[str, Any], **_: object) -> dict[str, Any] | None:
        if before["identity"]["status"] != "ACTIVE":
            return None
        return undo(self, ensure_started, self.ctx, self.subject)


class StartServer(Step):
    """Power a server on, if it was running when it was observed.

    Provides since when it is up, as epoch seconds.  Reverted by stopping it, so that what was
    done to it while it was off can be undone.
    """

    default_provides = "up_since"

    def execute(self, before: dict[str, Any]) -> float | None:
        if before["identity"]["status"] != "ACTIVE":
            return None
        ensure_started(self.ctx, self.subject)
        return self.ctx.cloud.clock.time()

    def revert(self, before: dict[str, Any], **_: object) -> dict[str, Any] | None:
        if before["identity"]["status"] != "ACTIVE":
            return None
        return undo(self, ensure_stopped, self.ctx, self.subject)


class NoteDown(Step):
    """Note when a running instance is about to go down.

    Changes nothing, so there is nothing to revert.
    """

    default_provides = "down_since"

    def execute(self, before: dict[str, Any]) -> float | None:
        if before["identity"]["status"] != "ACTIVE":
            return None
        return self.ctx.cloud.clock.time()


class MigrateServer(Step):
    """Migrate a server cold to another host, and leave it there unconfirmed.

    Done when the server is in VERIFY_RESIZE on that host; the source keeps its disk and its
    allocation.  Provides since when it is up again.  Reverted by Nova's own revert; where
    somebody has confirmed the migration meanwhile, by migrating it back.  If the source's
    agent no longer offers the old mode, that is reported.
    """

    default_provides = "up_since"

    def __init__(self, ctx: Context, subject: str, source: str, target: str) -> None:
        super().__init__(ctx, subject)
        self.source = source
        self.target = target

    def execute(self, before: dict[str, Any]) -> float:
        server = waiting.quiet(self.ctx, self.subject)
        if server.status != "VERIFY_RESIZE" and server.host != self.target:
            self.ctx.cloud.compute.migrate(self.subject, self.target)
            server = waiting.reaches(
                self.ctx, self.subject, "VERIFY_RESIZE", failed=self._came_to_nothing
            )
        if server.host != self.target:
            raise errors.StepFailed(
                f"server {self.subject} was migrated to {server.host}, not to {self.target}"
            )
        return self.ctx.cloud.clock.time()

    def _came_to_nothing(self, server: Server) -> str | None:
        if server.task_state is not None or server.host != self.source:
            return None
        last = self.ctx.cloud.compute.migrations(self.subject)[-1:]
        if last and last[0].status in ("error", "failed", "cancelled"):
            return f"migration {last[0].id} of server {self.subject} ended as {last[0].status}"
        return None

    def revert(self, before: dict[str, Any], **_: object) -> dict[str, Any] | None:
        return undo(self, self._bring_back, before["identity"]["status"]) or in_another_mode(
            self, before
        )

    def _bring_back(self, status: str) -> None:
        server = waiting.quiet(self.ctx, self.subject)
        compute = self.ctx.cloud.compute
        if server.status == "VERIFY_RESIZE":
            compute.revert_migration(self.subject)
        elif server.host != self.source:
            compute.migrate(self.subject, self.source)
            waiting.reaches(self.ctx, self.subject, "VERIFY_RESIZE")
            compute.confirm_migration(self.subject)
        waiting.reaches(self.ctx, self.subject, status)


class ConfirmMigration(Step):
    """Give up the source side of a cold migration: its disk and its allocation.

    Part of ``settle``, which is only retried: there is no way back from here.
    """

    def execute(self) -> None:
        server = waiting.quiet(self.ctx, self.subject)
        if server.status == "VERIFY_RESIZE":
            self.ctx.cloud.compute.confirm_migration(self.subject)
        waiting.reaches(self.ctx, self.subject, "ACTIVE", "SHUTOFF")


class ShelveServer(Step):
    """Take a server off its host; Nova keeps a snapshot of a local root disk in Glance.

    Provides when it went down.  Reverted by unshelving it on its host and restoring its power
    state; if the host's agent no longer offers the old mode, that is reported.
    """

    default_provides = "down_since"

    def __init__(self, ctx: Context, subject: str, host: str) -> None:
        super().__init__(ctx, subject)
        self.host = host

    def execute(self, before: dict[str, Any]) -> float | None:
        now = self.ctx.cloud.clock.time()
        shelve(self.ctx, self.subject)
        return now if before["identity"]["status"] == "ACTIVE" else None

    def revert(self, before: dict[str, Any], **_: object) -> dict[str, Any] | None:
        return undo(self, self._bring_back, before["identity"]["status"]) or in_another_mode(
            self, before
        )

    def _bring_back(self, status: str) -> None:
        unshelve(self.ctx, self.subject, self.host)
        restore_power(self.ctx, self.subject, status)


class UnshelveServer(Step):
    """Bring a shelved server back on its host, with its ports bound anew, and its power state.

    Provides since when it is up.  Reverted by shelving it again, so that its ports can be bound
    once more.
    """

    default_provides = "up_since"

    def __init__(self, ctx: Context, subject: str, host: str) -> None:
        super().__init__(ctx, subject)
        self.host = host

    def execute(self, before: dict[str, Any]) -> float | None:
        server = unshelve(self.ctx, self.subject, self.host)
        if server.host != self.host:
            raise errors.StepFailed(
                f"server {self.subject} was unshelved on {server.host}, not on {self.host}"
            )
        now = self.ctx.cloud.clock.time()
        restore_power(self.ctx, self.subject, before["identity"]["status"])
        return now if before["identity"]["status"] == "ACTIVE" else None

    def revert(self, **_: object) -> dict[str, Any] | None:
        return undo(self, shelve, self.ctx, self.subject)


def reason(ctx: Context) -> str:
    """Return the reason that our locks carry."""
    return f"upgrade-flows {ctx.run_id}"


def unlock_ours(ctx: Context, server_id: str) -> None:
    """Unlock a server, if the lock is of our run."""
    server = ctx.cloud.compute.server(server_id)
    if server.locked and server.locked_reason == reason(ctx):
        ctx.cloud.compute.unlock(server_id)


def ensure_started(ctx: Context, server_id: str) -> None:
    """Start a server unless it runs, and wait for it."""
    try:
        ctx.cloud.compute.start(server_id)
    except errors.Conflict:
        # it runs, or something is under way: an earlier attempt, perhaps
        if waiting.quiet(ctx, server_id).status != "ACTIVE":
            ctx.cloud.compute.start(server_id)
    waiting.starts(ctx, server_id)


def ensure_stopped(ctx: Context, server_id: str) -> None:
    """Stop a server unless it is off, and wait for it."""
    try:
        ctx.cloud.compute.stop(server_id)
    except errors.Conflict:
        if waiting.quiet(ctx, server_id).status == "ACTIVE":
            ctx.cloud.compute.stop(server_id)
    waiting.reaches(ctx, server_id, "SHUTOFF")


def restore_power(ctx: Context, server_id: str, status: str) -> None:
    """Bring a server to the power state that it had."""
    if status == "ACTIVE":
        ensure_started(ctx, server_id)
    else:
        ensure_stopped(ctx, server_id)


def shelve(ctx: Context, server_id: str) -> Server:
    """Bring a server to SHELVED_OFFLOADED, from wherever an earlier attempt left it."""
    compute = ctx.cloud.compute
    server = waiting.quiet(ctx, server_id, ctx.settings.image_s)
    if server.status not in ("SHELVED", "SHELVED_OFFLOADED"):
        compute.shelve(server_id)
        server = waiting.reaches(
            ctx, server_id, "SHELVED", "SHELVED_OFFLOADED", deadline_s=ctx.settings.image_s
        )
    if server.status == "SHELVED":
        compute.offload(server_id)
        server = waiting.reaches(ctx, server_id, "SHELVED_OFFLOADED")
    return server


def unshelve(ctx: Context, server_id: str, host: str) -> Server:
    """Bring a shelved server back on a host, from wherever an earlier attempt left it."""
    server = waiting.quiet(ctx, server_id, ctx.settings.image_s)
    if server.status == "SHELVED":
        ctx.cloud.compute.offload(server_id)
        server = waiting.reaches(ctx, server_id, "SHELVED_OFFLOADED")
    if server.status == "SHELVED_OFFLOADED":
        ctx.cloud.compute.unshelve(server_id, host)
        return waiting.reaches(
            ctx, server_id, "ACTIVE", deadline_s=ctx.settings.image_s, failed=_stayed_shelved
        )
    return server


def _stayed_shelved(server: Server) -> str | None:
    if server.status == "SHELVED_OFFLOADED" and server.task_state is None and server.fault:
        return f"server {server.id} was not unshelved: {server.fault}"
    return None
