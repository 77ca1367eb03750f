"""Hosts of the lab: namespaces with sshd and nova-compute, and for real guests libvirt and more."""

from tests.lab.hosts.access import ssh, ssh_config
from tests.lab.hosts.control import (
    down,
    reset,
    restart_vswitchd,
    set_mode,
    status,
    sweep,
    up,
)
from tests.lab.hosts.debs import source
from tests.lab.hosts.faults import break_package, mend, slow_boot, stay_down, without_compute
from tests.lab.hosts.machines import (
    boot_id,
    boots,
    exec_,
    is_on,
    kernel,
    old,
    power_off,
    power_on,
    service,
    services_of,
    wait_up,
)
from tests.lab.hosts.migrations import set_behaviour

__all__ = [
    "boot_id",
    "boots",
    "break_package",
    "down",
    "exec_",
    "is_on",
    "kernel",
    "mend",
    "old",
    "power_off",
    "power_on",
    "reset",
    "restart_vswitchd",
    "service",
    "services_of",
    "set_behaviour",
    "set_mode",
    "slow_boot",
    "source",
    "ssh",
    "ssh_config",
    "status",
    "stay_down",
    "sweep",
    "up",
    "wait_up",
    "without_compute",
]
