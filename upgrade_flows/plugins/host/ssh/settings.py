"""The settings of the plugin ``ssh``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.plugins.host import wanted
from upgrade_flows.plugins.host.wanted import Wanted
from upgrade_flows.plugins.reading import Reader

CONNECTION_KEYS = ("address", "user", "ssh_config", "sudo", "command_s")
KEYS = (*CONNECTION_KEYS, *wanted.KEYS, "services", "reboot_command")
SERVICE = r"[A-Za-z0-9][A-Za-z0-9:_.@\\-]*"


@dataclass(frozen=True)
class SshSettings:
    """How hosts are reached, and what they should have.

    :param address: what ssh is given, with ``{host}`` in it.
    :param command_s: seconds after which a command is given up.
    """

    address: str = "{host}"
    user: str = ""
    ssh_config: str = ""
    sudo: bool = False
    command_s: float = 1800.0
    services: tuple[str, ...] = ()
    reboot_command: tuple[str, ...] = ()
    wanted: Wanted = field(default_factory=Wanted)


def read(settings: dict[str, Any], to_change: bool = True) -> SshSettings:
    """Understand settings.

    :param to_change: whether something has to be wanted of a host; to look at it nothing has.
    :raises RequestError: names everything that is wrong with them.
    """
    reader = Reader("the host plugin ssh", settings, KEYS)
    found = SshSettings(
        address=reader.template("address"),
        user=reader.text("user", pattern=r"[^\s:@-][^\s:@]*", like="the name of a user"),
        ssh_config=reader.path("ssh_config"),
        sudo=reader.flag("sudo"),
        command_s=reader.seconds("command_s", 1800.0),
        services=reader.words("services", pattern=SERVICE, like="the name of a service"),
        reboot_command=reader.words("reboot_command"),
        wanted=wanted.read(reader),
    )
    if to_change and not reader.complaints and not found.wanted:
        reader.complain("nothing is wanted: name packages, remove, source, kernel or files")
    reader.finish()
    return found
