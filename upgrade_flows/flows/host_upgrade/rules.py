"""What becomes of each instance of a host that has to be empty: by its state, and its owner's word.

``treat`` is asked when planning, so that what cannot be moved is known before anything is touched,
and again while a host is drained, for what is there then.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from upgrade_flows.flows.host_upgrade.options import Options
from upgrade_flows.flows.moving import (
    CHOICE,
    LIVE,
    NOTIFY,
    POWEROFF,
    Obstacles,
    choice_of,
    obstacles_of,
)
from upgrade_flows.model.inventory import Server

RUNNING = 1  # Nova's power state


class How(enum.StrEnum):
    """What becomes of an instance.

    ``live`` and ``cold``: migrated so; ``offload``: a shelved one leaves its host; ``poweroff``:
    stopped, and started when its host is back; ``stay``: left where it is, nothing of it runs;
    ``wait``: something is under way that has to end first; ``refuse``: it is in the way.
    """

    LIVE = "live"
    COLD = "cold"
    OFFLOAD = "offload"
    POWEROFF = "poweroff"
    STAY = "stay"
    WAIT = "wait"
    REFUSE = "refuse"


#: those that leave their host
LEAVING = (How.LIVE, How.COLD, How.OFFLOAD)


@dataclass(frozen=True)
class Treatment:
    """What becomes of an instance, and why; ``remedy`` says what would change it."""

    how: How
    why: str = ""
    remedy: str = ""


def treat(server: Server, options: Options, obstacles: Obstacles | None = None) -> Treatment:
    """Return what becomes of an instance whose host has to be empty."""
    found = obstacles or obstacles_of(server)
    if server.task_state is not None or server.status in ("BUILD", "MIGRATING"):
        return Treatment(How.WAIT, f"Nova is at it: {server.task_state or server.status}")
    if server.status == "ACTIVE":
        return _running(server, options, found)
    if server.status == "SHUTOFF":
        if found.move:
            return Treatment(How.STAY, f"it is off, and {found.move}")
        return Treatment(How.COLD, "it is off")
    if server.status == "PAUSED":
        if found.move or found.live:
            why = f"it is paused, and {found.move or found.live}"
            return Treatment(How.REFUSE, why, f"openstack server unpause {server.id}")
        return Treatment(How.LIVE, "it is paused, and stays so")
    if server.status == "SUSPENDED":
        if options.suspended == "refuse":
            remedy = f"openstack server resume {server.id}, or use --suspended stay"
            return Treatment(How.REFUSE, "it is suspended", remedy)
        return Treatment(How.STAY, "it is suspended: its memory is kept on the host's disk")
    return _special(server)


def _running(server: Server, options: Options, found: Obstacles) -> Treatment:
    choice = choice_of(server)
    if choice == NOTIFY:
        return Treatment(
            How.REFUSE,
            f"its owner wants to be asked first ({CHOICE}={NOTIFY})",
            "ask the owner, who then sets live, cold or poweroff instead",
        )
    wanted, why = choice or options.default, "as its owner wants" if choice else ""
    if wanted == POWEROFF:
        return Treatment(How.POWEROFF, why or "as is the rule")
    if found.move:
        if options.unmovable == POWEROFF:
            return Treatment(How.POWEROFF, found.move)
        remedy = "allow to stop it meanwhile: --unmovable poweroff"
        return Treatment(How.REFUSE, found.move, remedy)
    if found.live and wanted == LIVE:
        if options.may_cold:
            return Treatment(How.COLD, found.live)
        if options.unmovable == POWEROFF:
            return Treatment(How.POWEROFF, found.live)
        remedy = "allow to restart it elsewhere (--may-cold), or change its ports first: recreate"
        return Treatment(How.REFUSE, found.live, remedy)
    return Treatment(How(wanted), why)


def _special(server: Server) -> Treatment:
    if server.status in ("SHELVED", "SHELVED_OFFLOADED"):
        return Treatment(How.OFFLOAD, "it is shelved")
    if server.status == "ERROR":
        if server.power_state == RUNNING:
            return Treatment(
                How.REFUSE,
                "it is in ERROR, and its guest runs all the same",
                f"openstack server set --state active {server.id}, once that is true",
            )
        return Treatment(How.STAY, "it is in ERROR, and no guest runs")
    if server.status in ("RESCUE", "RESCUED"):
        return Treatment(
            How.REFUSE, "it is being rescued", f"openstack server unrescue {server.id}"
        )
    if server.status == "VERIFY_RESIZE":
        return Treatment(
            How.REFUSE,
            "a resize or migration of it waits to be confirmed",
            f"openstack server resize confirm {server.id} (or revert)",
        )
    if server.status in ("DELETED", "SOFT_DELETED"):
        return Treatment(How.STAY, "it is deleted")
    return Treatment(How.REFUSE, f"it is {server.status}", "bring it to another state")
