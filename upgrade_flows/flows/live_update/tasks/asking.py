"""Ask a guest whether it serves, as the plan's probes say."""

from __future__ import annotations

from typing import Any

from upgrade_flows.flows.live_update.tasks.base import LiveStep
from upgrade_flows.plugins.base import Guest
from upgrade_flows.steps import guest_probes

#: seconds after which a command in the guest counts as failed
COMMAND_S = 30.0


def ask(
    step: LiveStep,
    guest: Guest,
    probes: list[dict[str, Any]],
    addresses: tuple[str, ...],
    deadline_s: float,
) -> None:
    """Wait until all probes pass, each at one of the addresses.

    :raises TimedOut: they did not within ``deadline_s`` seconds; says which.
    """
    if not probes:
        return
    plugin, settings = step.plugin, step.settings
    guest_probes.await_ready(
        step.ctx.cloud.clock,
        probes,
        addresses,
        what=str(guest),
        console=guest.console,
        run=lambda command: plugin.run(guest, settings, command, COMMAND_S),
        deadline_s=deadline_s,
    )
