"""The proof that the surrogate is who the original was, but for what the plan declared."""

from __future__ import annotations

import dataclasses
from typing import Any

from upgrade_flows import errors
from upgrade_flows.flows.live_update.tasks import cutting
from upgrade_flows.flows.live_update.tasks.base import LiveStep
from upgrade_flows.model import codec, identity
from upgrade_flows.model.identity import Identity
from upgrade_flows.model.plan import Action
from upgrade_flows.steps import creating
from upgrade_flows.steps.base import Context
from upgrade_flows.steps.identity import record


class CompareSurrogate(LiveStep):
    """Record the surrogate's identity, and fail if it differs where the plan does not say so.

    A port that had to be made again is compared with the one that it takes the place of.
    Provides the ``outcome`` of the change: besides what every outcome has, ``moved`` (the calls
    of the cut-over and the blackout) and ``ports`` (ids by old id, of those that were made
    again).  Changes nothing, so there is nothing to revert.
    """

    default_provides = "outcome"

    def __init__(self, ctx: Context, action: Action, **more: Any) -> None:
        super().__init__(ctx, action, **more)
        self.declared = action.declares

    def execute(
        self,
        before: dict[str, Any],
        surrogate_id: str,
        health: dict[str, Any],
        way_back: dict[str, Any],
        quiet: dict[str, Any],
        moved: dict[str, Any],
        up_since: float,
        silence_s: float | None = None,
    ) -> dict[str, Any]:
        renewed = {old: new for old, new in moved["ports"].items() if old != new}
        then = _renewed(codec.from_plain(Identity, before["identity"]), renewed)
        now, _, _ = record(self.ctx, surrogate_id, self.ctx.plugins.mode_of)
        difference = identity.difference(then, now)
        undeclared = (
            *identity.undeclared(difference, self.declared),
            *(name for name in difference if self._is_lost(name)),
        )
        if undeclared:
            said = "; ".join(
                f"{name}: {difference[name][0]!r} became {difference[name][1]!r}"
                for name in undeclared
            )
            raise errors.StepFailed(
                f"surrogate {surrogate_id} is not who {self.original} was, beyond what the plan"
                f" declared: {said}"
            )
        times = cutting.times(quiet, moved, up_since)
        return {
            "server_id": surrogate_id,
            "identity_difference": difference,
            "undeclared": [],
            "measured_downtime_s": times["blackout_s"],
            "probed_downtime_s": silence_s,
            "moved": times,
            "ports": renewed,
            "way_back": way_back,
            "health_port": health["id"],
            "flags": [
                [held["volume_id"], held["delete_on_termination"]]
                for held in before["identity"]["volumes"]
                if held["volume_id"] in self.details["volumes"]
            ],
            "tags": list(creating.tags_of(self, before["identity"])),
        }

    def _is_lost(self, name: str) -> bool:
        """Whether a difference is more than what moving a port or a volume makes of it.

        That a port has another id, and an owner that names another zone, is declared as
        ``ports``; that a volume has another device, and no delete flag yet, as ``volumes``.
        """
        kind, _, rest = name.partition("[")
        item, _, attribute = rest.partition("]")
        if kind == "ports":
            return attribute != ".device_owner"
        return kind == "volumes" and not attribute and item in self.details["volumes"]


def _renewed(then: Identity, ids: dict[str, str]) -> Identity:
    """Return an identity with the ports under the ids that they have now."""
    return dataclasses.replace(
        then,
        ports=tuple(dataclasses.replace(port, id=ids.get(port.id, port.id)) for port in then.ports),
        vif_modes={ids.get(port, port): mode for port, mode in then.vif_modes.items()},
    )
