"""The host plugin ``ssh``: packages, package sources, lines of configuration, services."""

from __future__ import annotations

import itertools
from typing import Any

from taskflow import flow
from taskflow.patterns import graph_flow

from upgrade_flows.plugins.base import HostPlugin
from upgrade_flows.plugins.host import facts as host_facts
from upgrade_flows.plugins.host import scripts, wanted
from upgrade_flows.plugins.host.ssh import refusals, steps, work
from upgrade_flows.plugins.host.ssh.connection import ConnectionEnded, Machine
from upgrade_flows.plugins.host.ssh.settings import read
from upgrade_flows.steps.base import Context

REBOOT_S = 60.0

STEPS = (
    steps.ObserveHostPackages,
    steps.RestoreServices,
    steps.WritePackageSource,
    steps.InstallPackages,
    steps.WriteConfigurationLines,
    steps.RestartServices,
)


class SshHost(HostPlugin):
    """Hosts that are reached by ssh, with apt or dnf."""

    def check(self, settings: dict[str, Any]) -> None:
        read(settings)

    def look(self, host: str, settings: dict[str, Any]) -> dict[str, Any]:
        understood = read(settings, to_change=False)
        script = host_facts.question(understood.wanted)
        said = Machine(host, understood).run("looking", script, work.LOOK_S)
        return host_facts.answer(host, said, understood.wanted)

    def missing(self, settings: dict[str, Any], facts: dict[str, Any]) -> list[str]:
        return wanted.missing(read(settings).wanted, facts)

    def refusals(self, host: str, settings: dict[str, Any], facts: dict[str, Any]) -> list[str]:
        return refusals.refusals(Machine(host, read(settings)), facts)

    def upgrade(self, ctx: Context, host: str, settings: dict[str, Any]) -> flow.Flow:
        understood = read(settings)
        made = [step(ctx, host, understood) for step in STEPS]
        whole = graph_flow.Flow(f"upgrade-host-by-ssh:{host}").add(*made)
        for before, after in itertools.pairwise(made):
            whole.link(before, after)
        return whole

    def wants_reboot(
        self, settings: dict[str, Any], before: dict[str, Any], now: dict[str, Any]
    ) -> bool:
        return wanted.wants_reboot(read(settings).wanted, before, now)

    def reboot(self, host: str, settings: dict[str, Any]) -> None:
        understood = read(settings)
        script = scripts.script("reboot", understood.reboot_command)
        try:
            Machine(host, understood).run("asking for a reboot", script, REBOOT_S)
        except ConnectionEnded:
            return
