"""What came of a host's upgrade, for the report."""

from __future__ import annotations

from typing import Any

from upgrade_flows.flows.host_upgrade.tasks.base import HostStep


class SumUp(HostStep):
    """Put together what the report shows.  Provides ``outcome``.

    Changes nothing, so there is nothing to revert.
    """

    default_provides = "outcome"

    def execute(
        self,
        host_before: dict[str, Any],
        facts: dict[str, Any],
        drained: dict[str, Any],
        leftovers: list[dict[str, str]],
        reboot: dict[str, Any],
        facts_after: dict[str, Any],
        canary: str,
        returned: list[Any],
    ) -> dict[str, Any]:
        total = self.ctx.cloud.clock.time() - host_before["at"]
        return {
            "identity_difference": {},
            "undeclared": [],
            "measured_downtime_s": None,
            "moves": drained["moves"],
            "stayed": drained["stayed"],
            "stopped": drained["poweroff"],
            "leftovers": leftovers,
            "facts_before": facts,
            "facts_after": facts_after,
            "rebooted": reboot["rebooted"],
            "reboot_s": reboot["seconds"],
            "canary": canary,
            "returned": returned,
            "drain_s": drained["drain_s"],
            "out_s": round(total - drained["drain_s"], 3),
        }
