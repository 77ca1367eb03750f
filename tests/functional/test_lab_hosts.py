"""The hosts of the lab themselves: packages, reboots and faults, as an operator's ssh sees them."""

from __future__ import annotations

import time

import pytest

from tests.functional import instances
from tests.lab import api, hosts, waiting
from tests.lab.hosts import machines

HOST = "fake1"
INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet lab-kernel=2.0"


@pytest.fixture(autouse=True)
def old_host(cloud):
    """Begin and end with an old host."""
    hosts.old(HOST)
    yield
    hosts.old(HOST)


def reboot(host: str, command: str = "systemctl reboot") -> None:
    """Reboot a host over ssh, and wait until it is back."""
    before = hosts.boot_id(host)
    hosts.ssh(host, command)
    waiting.until(f"{host} reboots", lambda: hosts.boot_id(host) != before, 20)
    hosts.wait_up(host)


def compute_is_up(host: str) -> bool:
    """Return whether Nova takes a host for up."""
    (service,) = api.shared().compute.services(binary="nova-compute", host=host)
    return service.state == "up"


def add_new_source(host: str) -> None:
    """Let a host know the packages of the new release."""
    file = "/etc/apt/sources.list.d/lab-new.list"
    hosts.ssh(host, f"echo '{hosts.source('new')}' > {file} && apt-get --quiet update")


def facts(host: str) -> list[str]:
    """Return what a host says of itself."""
    query = "dpkg-query --show --showformat='${Package}=${Version} '; uname -r"
    return hosts.ssh(
        host, f"{query}; cd /proc/sys/kernel; cat osrelease random/boot_id"
    ).stdout.split()


@pytest.mark.parametrize("host", [HOST, "virt1"])
def test_a_host_is_upgraded_over_ssh_and_is_old_again(host):
    hosts.up()
    hosts.old(host)
    packages = ["lab-agent=1.0", "lab-kernel=1.0", "lab-legacy=1.0"]
    boots, boot = hosts.boots(host), hosts.boot_id(host)
    assert facts(host) == [*packages, "6.1.0-lab", "6.1.0-lab", boot]

    add_new_source(host)
    hosts.ssh(host, f"{INSTALL} lab-agent=2.0 && apt-get remove --yes lab-legacy", timeout=10)
    hosts.ssh(host, "sed -i s,/old,/new, /etc/lab/agent.conf")
    assert facts(host) == ["lab-agent=2.0", "lab-kernel=2.0", "6.1.0-lab", "6.1.0-lab", boot]

    reboot(host)
    assert hosts.boots(host) == boots + 1
    assert facts(host)[:4] == ["lab-agent=2.0", "lab-kernel=2.0", "6.12.0-lab", "6.12.0-lab"]
    assert hosts.ssh(host, "systemctl is-active nova-compute").stdout == "active\n"

    hosts.old(host)
    assert facts(host)[:4] == [*packages, "6.1.0-lab"]
    assert hosts.ssh(host, "cat /etc/lab/agent.conf").stdout.startswith("vhost_sock_dir = /old")
    boots = hosts.boots(host)
    hosts.old(host)
    assert hosts.boots(host) == boots  # nothing to be done


def test_a_host_stays_down_until_it_is_switched_on():
    hosts.stay_down(HOST)
    hosts.ssh(HOST, "shutdown -r now")
    waiting.until("the host is off", lambda: not hosts.is_on(HOST), 10)
    assert hosts.ssh(HOST, "true", check=False).returncode == 255
    hosts.power_on(HOST)
    assert compute_is_up(HOST)
    reboot(HOST, "reboot")  # once only


def test_nova_compute_stays_away_until_it_may_start():
    hosts.without_compute(HOST)
    before = hosts.boot_id(HOST)
    hosts.ssh(HOST, "systemctl reboot")
    waiting.until("a new boot", lambda: hosts.boot_id(HOST) != before, 20)
    waiting.until("sshd is there", lambda: hosts.ssh(HOST, "true", check=False).returncode == 0, 20)
    waiting.until("Nova misses it", lambda: not compute_is_up(HOST), 40)
    assert hosts.ssh(HOST, "systemctl restart nova-compute", check=False).returncode == 1
    hosts.without_compute(HOST, False)
    hosts.ssh(HOST, "systemctl start nova-compute")
    hosts.wait_up(HOST)


def test_a_broken_package_is_installed_once_it_is_mended():
    add_new_source(HOST)
    hosts.break_package(HOST)
    failed = hosts.ssh(HOST, INSTALL, check=False)
    assert (failed.returncode, "no space left" in failed.stdout) == (100, True)
    hosts.break_package(HOST, False)
    hosts.ssh(HOST, INSTALL)
    assert "lab-kernel=2.0" in facts(HOST)


def test_guests_are_off_after_a_boot_and_not_after_a_restart():
    made = instances.make([instances.Wish("lab-guest", HOST)])["lab-guest"]
    hosts.ssh(HOST, "systemctl restart nova-compute")
    machines.wait_compute({HOST: machines.utc(time.time() + 15)})  # it has looked at its guests
    assert api.shared().compute.get_server(made).status == "ACTIVE"
    reboot(HOST)
    instances.reaches(api.shared(), made, "SHUTOFF", 60)
    api.shared().compute.delete_server(made)
    waiting.until("it is gone", lambda: not list(api.shared().compute.servers(name="lab-guest")))
