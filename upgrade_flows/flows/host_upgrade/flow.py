"""The flow that upgrades one host."""

from __future__ import annotations

from typing import Any

from taskflow import flow

from upgrade_flows.flows import sequence
from upgrade_flows.flows.host_upgrade.tasks import (
    canary,
    emptying,
    fencing,
    rebooting,
    summing,
)
from upgrade_flows.flows.host_upgrade.tasks.base import plugin_of
from upgrade_flows.model.plan import Action
from upgrade_flows.steps.base import Context


def change(ctx: Context, action: Action) -> flow.Flow:
    """Upgrade a host while no guest runs on it.

    ::

        observe ── look ── fence ── await arrivals ── drain ── stop stayers ── prove empty
            ── [reboot on the way back] ── the plugin's own steps ── reboot ── verify
            ── [empty on the way back] ── start stayers ── open ── canary ── bring back ── sum up

    A step that fails leaves the host as it is at that moment, out of service: the operator
    decides whether to resume, to skip it or to roll it back.  Rolled back, it is fenced and
    emptied again before the plugin's steps are reverted, and rebooted after them.
    """
    plugin = plugin_of(ctx, str(action.details["plugin"]))
    return sequence.of(
        f"upgrade-host:{action.subject}",
        fencing.ObserveHost(ctx, action),
        fencing.LookAtHost(ctx, action),
        fencing.FenceHost(ctx, action),
        fencing.AwaitArrivals(ctx, action),
        emptying.DrainHost(ctx, action),
        emptying.StopStayers(ctx, action),
        emptying.ProveEmpty(ctx, action),
        rebooting.RebootOnTheWayBack(ctx, action),
        plugin.upgrade(ctx, action.subject, action.details["settings"]),
        rebooting.RebootHost(ctx, action),
        rebooting.VerifyHost(ctx, action),
        emptying.EmptyOnTheWayBack(ctx, action),
        emptying.StartStayers(ctx, action),
        fencing.OpenHost(ctx, action),
        canary.ProveWithCanary(ctx, action),
        emptying.BringBack(ctx, action),
        summing.SumUp(ctx, action),
    )


def settle(ctx: Context, action: Action, outcome: dict[str, Any]) -> flow.Flow | None:
    """Give up the way back: nothing was kept for it."""
    return None
