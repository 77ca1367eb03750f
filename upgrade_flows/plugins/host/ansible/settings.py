"""The settings of the plugin ``ansible``."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.plugins.host import wanted
from upgrade_flows.plugins.host.wanted import Wanted
from upgrade_flows.plugins.reading import Reader

KEYS = (
    *("playbook", "rollback_playbook", "facts_playbook", "inventory", "limit_by"),
    *("extra_vars", "tags", "ssh_config", "command_s", "reboot", "want", "done_when"),
)
WANT_KEYS = ("manager", "packages", "remove", "kernel", "files")
OURS = ("upgrade_flows_host", "upgrade_flows_run")


@dataclass(frozen=True)
class AnsibleSettings:
    """What is run for a host, and how one sees that it has been.

    :param limit_by: name of the host in the inventory, with ``{host}`` in it.
    :param reboot: ``ours``, or ``playbook`` where the playbook reboots the host by itself.
    :param done_when: facts that a host has when nothing is left to do.
    """

    playbook: str
    rollback_playbook: str = ""
    facts_playbook: str = ""
    inventory: str = ""
    limit_by: str = "{host}"
    extra_vars: dict[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    ssh_config: str = ""
    command_s: float = 3600.0
    reboot: str = "ours"
    want: Wanted = field(default_factory=Wanted)
    done_when: dict[str, Any] = field(default_factory=dict)

    def playbooks(self) -> list[str]:
        """Return the paths of all playbooks."""
        every = (self.playbook, self.rollback_playbook, self.facts_playbook)
        return [path for path in every if path]


def read(settings: dict[str, Any]) -> AnsibleSettings:
    """Understand settings.

    :raises RequestError: names everything that is wrong with them.
    """
    reader = Reader("the host plugin ansible", settings, KEYS)
    want = reader.inner("want", reader.table("want"), WANT_KEYS)
    found = AnsibleSettings(
        playbook=reader.path("playbook"),
        rollback_playbook=reader.path("rollback_playbook"),
        facts_playbook=reader.path("facts_playbook"),
        inventory=reader.path("inventory"),
        limit_by=reader.template("limit_by"),
        extra_vars=reader.table("extra_vars"),
        tags=reader.words("tags", pattern=r"[^\s,]+", like="a tag"),
        ssh_config=reader.path("ssh_config"),
        command_s=reader.seconds("command_s", 3600.0),
        reboot=reader.text("reboot", "ours", pattern="ours|playbook", like="ours or playbook"),
        want=wanted.read(want),
        done_when=reader.table("done_when"),
    )
    if not reader.has("playbook"):
        reader.complain("playbook is missing")
    for name in OURS:
        if name in found.extra_vars:
            reader.complain(f"extra_vars: {name} is given by this program")
    try:
        json.dumps(found.extra_vars)
    except (TypeError, ValueError) as exc:
        reader.complain(f"extra_vars: {exc}")
    reader.finish()
    return found
