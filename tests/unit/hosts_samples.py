"""Hosts that wait for their upgrade, written down by hand, and plans of them."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

from upgrade_flows.flows.capability import Assessment
from upgrade_flows.model.inventory import Flavor, Host, Inventory, Room, Server
from upgrade_flows.model.plan import Action, Plan
from upgrade_flows.model.request import Rollout, Scope, Target, UpgradeRequest
from upgrade_flows.planning import hosts
from upgrade_flows.plugins.placement.balance import CpuUtilizationBalance
from upgrade_flows.plugins.placement.filling import Packing, Striping

PLUGINS = SimpleNamespace(
    placement={
        "packing": Packing(),
        "striping": Striping(),
        "cpu_utilization_balance": CpuUtilizationBalance(),
    }
)
SMALL = Flavor("f", "small", 2, 2048, 10)


def server(id_, host, flavor=SMALL, **more):
    more.setdefault("image_id", "image")
    return Server(id_, f"vm-{id_}", more.pop("status", "ACTIVE"), host=host,
                  hypervisor_hostname=host, flavor=flavor, **more)  # fmt: skip


def inventory(servers=(), names=("h1", "h2", "h3"), vcpus=8, used=None, **more):
    """Return a cloud; what is used at a host is what its servers hold, if nothing is said."""
    held = {name: 2 * sum(one.host == name for one in servers) for name in names}
    rooms = {
        name: Room(
            {"VCPU": vcpus, "MEMORY_MB": 65536, "DISK_GB": 1000},
            {"VCPU": (used or held).get(name, 0)},
        )
        for name in names
    }
    known = {"hosts": tuple(Host(name, availability_zone="nova") for name in names)}
    return Inventory("cloud", "now", servers=tuple(servers), **{"rooms": rooms, **known, **more})


def action(found, name, how=None, **details):
    """Return the action on a host; ``how`` says what becomes of its instances, by id."""
    instances = {
        one.id: {
            "name": one.name,
            "how": (how or {}).get(one.id, "live"),
            "why": "",
            "move_s": 60,
            "pause_s": 0.5,
        }
        for one in found.servers_on(name)
    }
    said = {
        "host": name, "plugin": "ssh", "settings": {"packages": {"qemu": "8.2", "ovs": "latest"}},
        "missing": ["kernel 6.1 runs, 6.12 is wanted"],
        "service": {"enabled": True, "reason": None, "az": "nova"},
        "options": {"reboot": "needed"}, "instances": instances,
    }  # fmt: skip
    return Action("host_upgrade", name, name, "drain", tuple(said["missing"]), (), said | details)


def request(*names, rollout=None, **options):
    options = {"plugin": "ssh", **options}
    return UpgradeRequest(
        "host_upgrade",
        Scope(hosts=names or ("h1", "h2", "h3")),
        Target(options=options),
        rollout or Rollout(),
    )


def assessment(found, *names, unchanged=(), how=None):
    return Assessment(tuple(action(found, name, how) for name in names), (), tuple(unchanged))


def scheduled(found, *names, unchanged=(), how=None, rollout=None, **options):
    names = names or tuple(host.name for host in found.hosts)
    asked = request(*names, rollout=rollout, **options)
    assessed = assessment(found, *names, unchanged=unchanged, how=how)
    return hosts.schedule(asked, found, assessed, PLUGINS)


def fleet(found, *names, unchanged=(), how=None, **options):
    """Return the fleet as two tables by name, and the findings."""
    names = names or tuple(host.name for host in found.hosts)
    assessed = assessment(found, *names, unchanged=unchanged, how=how)
    made = hosts.fleet_of(request(*names, **options), found, assessed)
    return (
        {one.name: one for one in made.fleet.hosts},
        {one.id: one for one in made.fleet.instances},
        made,
    )


def plan_of(found, made, asked=None, unchanged=()):
    return Plan(
        "plan-1", "2026-11-20T12:00:00Z", "http://keystone.example/v3 RegionOne",
        asked or request(), made.waves, made.findings, unchanged, made.schedule,
    ).sealed()  # fmt: skip


def sample():
    """Return a plan of three hosts and an empty one: some instances have to move twice."""
    servers = [server(f"s{n}", f"h{n % 3 + 1}") for n in range(9)]
    servers[8] = dataclasses.replace(servers[8], name="db[red]")
    found = inventory(servers, ("h1", "h2", "h3", "h4"), vcpus=16)
    how = {"s0": "cold", "s4": "stay", "s7": "poweroff"}
    made = scheduled(found, how=how, rollout=Rollout(2, max_failures=1))
    return plan_of(found, made, request("h1", "h2", "h3", "h4", rollout=Rollout(2, 1)))
