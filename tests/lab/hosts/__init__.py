"""Hosts of the lab that run real guests: namespaces with libvirt, Open vSwitch and Nova each."""

from tests.lab.hosts.control import (
    down,
    exec_,
    power_off,
    power_on,
    reset,
    restart_vswitchd,
    service,
    services_of,
    set_mode,
    status,
    sweep,
    up,
)

__all__ = [
    "down",
    "exec_",
    "power_off",
    "power_on",
    "reset",
    "restart_vswitchd",
    "service",
    "services_of",
    "set_mode",
    "status",
    "sweep",
    "up",
]
