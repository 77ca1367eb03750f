"""Run the operator's own commands in a guest, and say in their environment what it is about."""

from __future__ import annotations

import json
import math
import shlex

from upgrade_flows.plugins.guest import Guest, device
from upgrade_flows.plugins.workload import scripts
from upgrade_flows.plugins.workload.shell import Shell

#: seconds for interfaces and volumes to appear in a guest that they are plugged into
ARRIVAL_S = 20

#: seconds that a script gets besides the command
SLACK_S = 15.0

#: what is done besides the command (scripts/command.sh)
NOTHING, VOLUMES, COME, WATCH, STAY = "-", "volumes", "come", "watch", "stay"


def environment(guest: Guest, phase: str, boot_disk: str = "") -> dict[str, str]:
    """Return the variables that a command has."""
    nics = [
        {"mac": nic.mac, "addresses": list(nic.addresses), "gateway": nic.gateway}
        for nic in guest.nics
    ]
    return {
        "UF_PHASE": phase,
        "UF_ROLE": guest.role,
        "UF_SERVER": guest.server_id,
        "UF_NAME": guest.name,
        "UF_DEVICE": boot_disk,
        "UF_VOLUMES": " ".join(map(device, guest.volumes)),
        "UF_NICS": json.dumps(nics),
    }


def run(
    shell: Shell,
    phase: str,
    command: str,
    limit_s: float,
    *,
    task: str = NOTHING,
    network: bool = True,
    boot_disk: str = "",
) -> str:
    """Run a command (a text for ``sh -c``) and return the end of what it said.

    It has no input, and is ended when its time is over.  ``task`` says what is done besides;
    without ``network`` nothing is done about interfaces.

    :raises HostError: it failed, or something that it needs did not come.
    """
    guest = shell.guest
    network = network and task != VOLUMES
    plugged = [one for one in scripts.plugged(guest) if network or not one.startswith("n=")]
    limit = math.ceil(limit_s)
    arguments = [str(limit), task, str(ARRIVAL_S), command, *plugged]
    exports = "".join(
        f"export {name}={shlex.quote(value)}\n"
        for name, value in environment(guest, phase, boot_disk).items()
    )
    script = exports + scripts.script("nics", "command", arguments=arguments)
    comes = task in (VOLUMES, COME) or bool(boot_disk)
    waits = float(ARRIVAL_S * (len(plugged) + 1)) if comes else 0.0
    return shell.run(f"the command for {phase}", script, limit + waits + SLACK_S)
