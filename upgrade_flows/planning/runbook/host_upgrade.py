"""By hand: emptying a host, upgrading it, and giving it back."""

from __future__ import annotations

import functools
import shlex
from collections import defaultdict
from typing import Any

from upgrade_flows.model.plan import Action, Plan
from upgrade_flows.planning.hosts import roll_of
from upgrade_flows.planning.rolling import Move
from upgrade_flows.planning.runbook import plugins
from upgrade_flows.planning.runbook.step import HandStep, plain

COMPUTE = "openstack compute service"
MIGRATE = "openstack --os-compute-api-version 2.56 server migrate"


def times(plan: Plan) -> dict[str, str]:
    """Return when each host is out of service as predicted, in words, by its name."""
    found = {}
    for window in roll_of(plan.schedule).windows:
        end = "" if window.end is None else f", back at {_clock(window.end)}"
        found[window.host] = f"Begins at {_clock(window.start)}{end}."
    return found


class Book:
    """The steps for each host of a plan, its instances' targets taken from the schedule."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._how = {
            id_: one
            for action in plan.actions
            for id_, one in action.details.get("instances", {}).items()
        }

    def steps_of(self, action: Action) -> list[HandStep]:
        """Return what is done by hand for a host."""
        host, details = shlex.quote(action.subject), action.details
        options = details.get("options", {})
        enabled = details.get("service", {}).get("enabled", True)
        stopped = [
            shlex.quote(id_)
            for id_, one in details.get("instances", {}).items()
            if one.get("how") == "poweroff"
        ]
        return [
            *([self._disable(host)] if enabled else []),
            *self._empty(action, host),
            *self._stop(stopped),
            *plugins.upgrade(str(details.get("plugin", "")), details.get("settings", {}), host),
            *plugins.reboot(
                str(options.get("reboot", "needed")), details.get("settings", {}), host
            ),
            _verify(host),
            *self._start(stopped),
            *_give_back(host, enabled, options.get("canary_instance")),
        ]

    def _disable(self, host: str) -> HandStep:
        reason = shlex.quote(f"upgrade-flows plan {self._plan.id}")
        return HandStep(
            "Disable the host, so that nothing new comes to it",
            (f"{COMPUTE} set --disable --disable-reason {reason} {host} nova-compute",),
            f"`{COMPUTE} list --host {host} --service nova-compute` says `disabled`.",
            (f"{COMPUTE} set --enable {host} nova-compute",),
        )

    @functools.cached_property
    def _moves(self) -> dict[str, list[Move]]:
        """The moves off each host, in the order in which they begin."""
        found: dict[str, list[Move]] = defaultdict(list)
        for move in roll_of(self._plan.schedule).moves:
            found[move.source].append(move)
        return found

    def _empty(self, action: Action, host: str) -> list[HandStep]:
        """Return the step that moves the instances off, each with its target."""
        commands: list[str] = []
        for move in self._moves[action.subject]:
            one = self._how.get(move.instance, {})
            commands.append(f"# {_comment(one, move.instance)}")
            server, target = shlex.quote(move.instance), shlex.quote(move.target)
            if one.get("how") == "cold":
                commands.append(f"{MIGRATE} --host {target} --wait {server}")
                commands.append(f"openstack server migrate confirm {server}")
            else:
                commands.append(f"{MIGRATE} --live-migration --host {target} --wait {server}")
        staying = []
        for id_, one in action.details.get("instances", {}).items():
            if one.get("how") == "offload":
                commands.append(f"# {_comment(one, id_)}")
                commands.append(f"openstack server shelve --offload --wait {shlex.quote(id_)}")
            elif one.get("how") in ("stay", "poweroff"):
                staying.append(plain(str(one.get("name") or id_)))
        if not commands:
            return []
        rest = f" but {', '.join(staying)}" if staying else ""
        return [
            HandStep(
                "Move the instances off, as many at a time as the limits allow",
                tuple(commands),
                f"`openstack server list --all-projects --host {host}` shows none{rest}."
                " Whatever came to the host since the plan was made is there too: move it as well.",
                no_undo="instances may stay where they are now",
            )
        ]

    def _stop(self, stopped: list[str]) -> list[HandStep]:
        if not stopped:
            return []
        return [
            HandStep(
                "Stop the instances that cannot be moved: their downtime begins",
                tuple(f"openstack server stop {server}" for server in stopped),
                "`openstack server show SERVER -c status` says `SHUTOFF` for each.",
                tuple(f"openstack server start {server}" for server in stopped),
            )
        ]

    def _start(self, stopped: list[str]) -> list[HandStep]:
        if not stopped:
            return []
        return [
            HandStep(
                "Start the instances that were stopped",
                tuple(f"openstack server start {server}" for server in stopped),
                "`openstack server show SERVER -c status` says `ACTIVE` for each.",
                tuple(f"openstack server stop {server}" for server in stopped),
            )
        ]


def _verify(host: str) -> HandStep:
    return HandStep(
        "See that the host works",
        (
            f"{COMPUTE} list --host {host} --service nova-compute",
            f"openstack network agent list --host {host}",
            f"openstack hypervisor show {host}",
        ),
        "nova-compute is `up`, all agents are alive, and the hypervisor is `up`. If not, leave the"
        " host disabled.",
    )


def _give_back(host: str, enabled: bool, canary: Any) -> list[HandStep]:
    """Return how a host is opened again; one that was disabled before stays so."""
    if not enabled:
        return []
    disable = (f"{COMPUTE} set --disable {host} nova-compute",)
    steps = [
        HandStep(
            "Enable the host",
            (f"{COMPUTE} set --enable {host} nova-compute",),
            f"`{COMPUTE} list --host {host} --service nova-compute` says `enabled`.",
            disable,
        )
    ]
    if isinstance(canary, dict):
        image = f" --image {shlex.quote(canary['image'])}" if canary.get("image") else ""
        network = f" --network {shlex.quote(canary['network'])}" if canary.get("network") else ""
        flavor = shlex.quote(str(canary.get("flavor", "")))
        probe = str(canary.get("probe") or "")
        answers = f", and it takes a connection at {plain(probe)}" if probe else ""
        delete = f"openstack server delete --wait canary-{host}"
        steps.append(
            HandStep(
                "Boot a canary there, at once, and look at it (Nova boots none on a disabled host)",
                (
                    "openstack --os-compute-api-version 2.74 server create --flavor"
                    f" {flavor}{image}{network} --host {host} --wait canary-{host}",
                    f"openstack server show canary-{host}",
                ),
                f"The status is `ACTIVE`{answers}. If not, disable the host again.",
                (delete, *disable),
            )
        )
        steps.append(
            HandStep("Delete the canary", (delete,), "It is gone.", no_undo="nothing to undo")
        )
    return steps


def _comment(one: dict[str, Any], id_: str) -> str:
    """Return the name of an instance, and why it is treated so, as a comment of a shell."""
    said = f"{one.get('name') or id_}" + (f": {one['why']}" if one.get("why") else "")
    return "".join(char if char.isprintable() else " " for char in " ".join(said.split()))


def _clock(seconds: int) -> str:
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours:02d}:{minutes:02d}"
