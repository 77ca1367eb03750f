"""Steps that record who an instance is, and prove afterwards that it still is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from upgrade_flows import errors
from upgrade_flows.model import codec, identity
from upgrade_flows.model.identity import Identity
from upgrade_flows.model.inventory import Port
from upgrade_flows.steps import vault
from upgrade_flows.steps.base import Context, Step


class RecordIdentity(Step):
    """Record the complete identity of an instance before anything is touched.

    Provides ``before``: ``identity`` (as ``model.identity.Identity``, the user data as a
    fingerprint), ``user_data`` (sealed) and ``ports`` (by id, with their bindings).  Changes
    nothing, so there is nothing to revert.
    """

    default_provides = "before"

    def __init__(self, ctx: Context, subject: str, mode_of: Callable[[Port], str]) -> None:
        super().__init__(ctx, subject)
        self.mode_of = mode_of

    def execute(self) -> dict[str, Any]:
        recorded, user_data, ports = record(self.ctx, self.subject, self.mode_of)
        return {
            "identity": codec.to_plain(recorded),
            "user_data": self.ctx.vault.seal(user_data),
            "ports": {port.id: codec.to_plain(port) for port in ports},
        }


class CompareIdentity(Step):
    """Record the identity again, and fail if anything differs that the plan did not declare.

    Provides the ``outcome`` of the change: the difference, the undeclared part of it (empty, or
    this step has failed), the id of the instance as it is now, and the measured downtime.
    Changes nothing, so there is nothing to revert.
    """

    default_provides = "outcome"

    def __init__(
        self,
        ctx: Context,
        subject: str,
        mode_of: Callable[[Port], str],
        declared: tuple[str, ...],
        wanted_modes: dict[str, str],
        rebind: dict[str, str] | None = None,
    ) -> None:
        super().__init__(ctx, subject, rebind=rebind)
        self.mode_of = mode_of
        self.declared = declared
        self.wanted_modes = wanted_modes

    def execute(
        self,
        before: dict[str, Any],
        down_since: float | None,
        up_since: float | None,
        replacement_id: str | None = None,
        silence_s: float | None = None,
    ) -> dict[str, Any]:
        now_id = replacement_id or self.subject
        old = codec.from_plain(Identity, before["identity"])
        now, _, _ = record(self.ctx, now_id, self.mode_of)
        difference = identity.difference(old, now)
        undeclared = identity.undeclared(difference, self.declared)
        if undeclared:
            said = "; ".join(
                f"{name}: {difference[name][0]!r} became {difference[name][1]!r}"
                for name in undeclared
            )
            raise errors.StepFailed(
                f"server {now_id} is not what it was, beyond what the plan declared: {said}"
            )
        wrong = {
            port: now.vif_modes.get(port)
            for port, mode in self.wanted_modes.items()
            if now.vif_modes.get(port) != mode
        }
        if wrong:
            said = "; ".join(f"port {port} is bound as {mode}" for port, mode in wrong.items())
            raise errors.StepFailed(f"server {now_id} is not in the wanted mode: {said}")
        return {
            "server_id": now_id,
            "identity_difference": difference,
            "undeclared": [],
            "measured_downtime_s": _between(down_since, up_since),
            "probed_downtime_s": silence_s,
            "downtime_by_actions_s": None if down_since is None else self._by_actions(now_id),
        }

    def _by_actions(self, now_id: str) -> float | None:
        """Return the seconds between going down and coming up as Nova recorded them.

        Nova stores whole seconds.  None where the instance was not running.
        """
        compute = self.ctx.cloud.compute
        down = [a for a in compute.actions(self.subject) if a.action in DOWN]
        up = [a for a in compute.actions(now_id) if a.action in UP and a.finish is not None]
        if not down or not up or up[-1].finish is None:
            return None
        seconds = up[-1].finish - down[-1].start
        return round(seconds, 3) if seconds >= 0 else None


#: Nova's instance actions that take a guest down, and those that bring it up
DOWN = ("stop", "shelve", "migrate")
UP = ("start", "unshelve", "create", "migrate")


def record(
    ctx: Context, server_id: str, mode_of: Callable[[Port], str]
) -> tuple[Identity, str | None, tuple[Port, ...]]:
    """Read the identity of a server; return it with the user data and the ports as read."""
    server = ctx.cloud.compute.server(server_id)
    ports = tuple(ctx.cloud.network.ports(device_id=server_id))
    found = identity.of(
        dataclasses.replace(server, user_data=vault.fingerprint(server.user_data)),
        ports,
        ctx.cloud.compute.attachments(server_id),
        tuple(ip for port in ports for ip in ctx.cloud.network.floating_ips(port.id)),
        {port.id: mode_of(port) for port in ports},
    )
    return found, server.user_data, ports


def _between(start: float | None, end: float | None) -> float | None:
    if start is None or end is None:
        return None
    return round(end - start, 3)
