"""Show the main job on the lab, as an operator would do it: python -m tests.demo [--keep].

Brings the lab up, makes instances that need a new VIF mode, and runs ``upgrade-flows`` on them;
with --conductors, plans are submitted to conductors (python -m tests.conductors up).  Every
command is printed before its output.  Ends with 0 only if every state was as expected.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conductors import __main__ as conductors
from tests.conductors.fleet import Fleet
from tests.expectations import owner_alone
from tests.functional.instances import Wish, changes, make, truth
from tests.lab import agents, api, cloud, hosts, seed, waiting
from tests.lab.errors import LabError
from tests.lab.hosts import probe
from tests.lab.hosts import seed as guests
from tests.lab.settings import Settings

OLD, NEW = "dpdkvhostuser", "dpdkvhostuserclient"
FAKE = ("fake5", "fake6")  # the functional tests and the benchmark have others
REAL = "virt2"
PREFIX = "demo-"

GUEST = Wish(
    "demo-guest",
    REAL,
    flavor=guests.FLAVOR["name"],
    image=guests.IMAGE,
    networks=tuple(guests.NETWORKS)[:1],
    config_drive=True,
)
WISHES = (
    Wish("demo-web", FAKE[0], nics=2, floating_ip=True),
    Wish("demo-db", FAKE[0], volume_backed=True, data_volume=True),
    Wish("demo-batch", FAKE[1], status="SHUTOFF"),
    Wish("demo-legacy", FAKE[1], data_volume=True, floating_ip=True),
)
SEEDED = {seed.IMAGE, *(recipe.name for recipe in guests.RECIPES)}
REPLACED, REVERTED = "demo-legacy", "demo-batch"

#: how an instance that was rebuilt differs, besides who holds its ports and volumes
REBUILT = {
    "server.id",
    "server.user_id",
    "server.created",
    "server.OS-EXT-SRV-ATTR:instance_name",
    "server.OS-EXT-SRV-ATTR:reservation_id",
    "server.image",
}


class Unexpected(Exception):
    """Something is not as this demonstration says that it is."""


@dataclass
class Operator:
    """Types commands, shows what they print, and reads it."""

    folder: Path
    width: str = "110"
    fleet: Fleet | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OS_")},
            "OS_CLIENT_CONFIG_FILE": str(Settings.load().clouds_yaml),
            "OS_CLOUD": "lab-admin",
            "XDG_STATE_HOME": str(self.folder / "state"),
            "COLUMNS": self.width,
            "PYTHONUNBUFFERED": "1",
        }

    def type(self, *words: str, code: int = 0, quietly: bool = False) -> str:
        """Run ``upgrade-flows`` with these words; return what it printed on stdout."""
        if not quietly:
            say(f"$ upgrade-flows {shlex.join(words)}")
        config = ["--config-file", str(self.fleet.config)] if self.fleet else []
        process = subprocess.Popen(
            [Path(sys.executable).with_name("upgrade-flows"), *config, *words],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        lines = []
        for line in process.stdout:
            lines.append(line)
            if not quietly:
                print(line, end="", flush=True)
        if process.wait() != code:
            raise Unexpected(f"it ended with exit code {process.returncode}, not {code}")
        if not quietly:
            print(flush=True)
        return "".join(lines)

    def run(self, plan: str) -> str:
        """Run a plan, or have it run; return the id of the run."""
        how = ("submit", plan, "--watch") if self.fleet else ("run", plan)
        printed = self.type(*how, "--yes")
        found = re.search(r"^Run (\S+)( is recorded|$)", printed, re.MULTILINE)
        if found is None:
            raise Unexpected("the run has not said its id")
        return found[1]

    def states(self, run_id: str) -> dict[str, str]:
        """Return where each server of a run stands, by its name."""
        self.type("status", run_id, "-c", "Name", "-c", "Strategy", "-c", "State")
        rows = json.loads(self.type("status", run_id, "-f", "json", quietly=True))
        return {row["Name"]: row["State"] for row in rows}


def main(arguments: list[str] | None = None) -> int:
    """Run the demonstration."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the instances and the hosts")
    parser.add_argument(
        "--conductors", action="store_true", help="have conductors do it, which must be up"
    )
    options = parser.parse_args(arguments)
    try:
        fleet = working_fleet() if options.conductors else None
        cloud.up()
        wishes = (*WISHES, GUEST) if real_hosts() else WISHES
        clean()
        with prepared(options.keep):
            folder = Path(tempfile.mkdtemp(prefix="upgrade-flows-demo-"))
            show(wishes, Operator(folder, fleet=fleet))
    except (Unexpected, LabError, AssertionError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


def real_hosts() -> bool:
    """Switch on the hosts that run real guests; say so where that cannot be."""
    try:
        hosts.up()
    except (LabError, OSError, subprocess.SubprocessError) as error:
        say(f"# without real guests: {error}")
        return False
    return True


@contextmanager
def prepared(keep: bool) -> Iterator[None]:
    """Put the hosts into the old mode, and give them and the names back afterwards."""
    set_modes(OLD)
    try:
        yield
    finally:
        if keep:
            say("# the instances are kept; the next run of this removes them")
        else:
            clean()
            set_modes("ovs")


def working_fleet() -> Fleet:
    """Return the conductors that are up.

    :raises Unexpected: none is.
    """
    fleet = Fleet(conductors.FOLDER)
    if not any(fleet.alive(name) for name in fleet.names()):
        raise Unexpected("no conductor is up; start two with: python3 -m tests conductors up")
    return fleet


def show(wishes: tuple[Wish, ...], operator: Operator) -> None:
    """Do the whole job: check, plan, run, report, roll back, commit."""
    say(f"# making {', '.join(wish.name for wish in wishes)}; their hosts bind ports as {OLD}")
    ids = make(wishes)
    names = [wish.name for wish in wishes if wish.name != REPLACED]
    before = {wish.name: truth_of(wish, ids[wish.name]) for wish in wishes}
    address = guest_address(ids)
    if address:
        say(f"# {GUEST.name} answers on http://{address}: {told(address)}")
    say(f"# the hosts' agents change: they bind ports as {NEW} from now on")
    set_modes(NEW)

    operator.type("check", "vif-mode", "--server", *names, "-c", "Name", "-c", "Bound",
                  "-c", "Wanted", "-c", "Needs change")  # fmt: skip
    operator.type("plan", "recreate", "--server", *names, "-o", "plan.json")
    operator.type("plan", "show", "plan.json")
    in_place = run_with_probe(operator, "plan.json", address)
    expect(operator.states(in_place), dict.fromkeys(names, "changed"))
    operator.type("check", "vif-mode", "--server", *names, "-c", "Name", "-c", "Bound",
                  "-c", "Needs change")  # fmt: skip
    for name in names:
        compare(name, before[name], ids[name])
    print(flush=True)
    if address:
        say(f"# {GUEST.name} answers on http://{address}: {told(address)}")

    say(f"# {REPLACED} is created again from a snapshot, because we ask for it")
    operator.type("plan", "recreate", "--server", REPLACED, "--strategy", "snapshot",
                  "-o", "snapshot.json")  # fmt: skip
    replaced = operator.run("snapshot.json")
    expect(operator.states(replaced), {REPLACED: "changed"})

    say(f"# the agent of {FAKE[1]} goes back to {OLD}, and so do the instances on that host")
    agents.set_mode(FAKE[1], OLD)
    operator.type("rollback", in_place, "--server", REVERTED, "--yes")
    compare(REVERTED, before[REVERTED], ids[REVERTED], modes=False)
    say("\n# what was deleted can only be rebuilt, with another UUID: said so, with exit code 5")
    operator.type("rollback", replaced, "--yes", code=5)
    expect(operator.states(replaced), {REPLACED: "residue"})
    (rebuilt,) = api.shared().compute.servers(all_projects=True, name=f"^{REPLACED}$")
    compare(REPLACED, before[REPLACED], str(rebuilt.id), modes=False, allowed=REBUILT)
    print(flush=True)

    operator.type("commit", in_place, "--yes")
    expect(operator.states(in_place), dict.fromkeys(names, "settled") | {REVERTED: "undone"})
    operator.type("inventory", "--server", *names, REPLACED, "-c", "Name", "-c", "Status",
                  "-c", "VIF mode")  # fmt: skip
    operator.type("status", "--all")
    operator.type("report", in_place)
    operator.type("report", in_place, "--format", "html", "-o", "report.html")
    page = operator.folder / "report.html"
    if "<html" not in page.read_text(encoding="utf-8"):
        raise Unexpected(f"{page} is no HTML")
    say(f"# everything is as expected; the report with its timeline: file://{page}")


def run_with_probe(operator: Operator, plan: str, address: str | None) -> str:
    """Run a plan; where there is a real guest, ask it for a sign of life all the while."""
    if address is None:
        return operator.run(plan)
    with probe.Probe(address) as seen:
        run_id = operator.run(plan)
        probe.get(address, "/cgi-bin/state", seconds=60)
    say(f"# seen from its network, {GUEST.name} did not answer for {seen.longest:.1f} s")
    return run_id


def guest_address(ids: dict[str, str]) -> str | None:
    """Return the address of the real guest, once it answers; None without one."""
    if GUEST.name not in ids:
        return None
    port = next(iter(api.shared().network.ports(device_id=ids[GUEST.name])))
    address = str(port.fixed_ips[0]["ip_address"])
    probe.get(address, "/cgi-bin/state", seconds=90)
    return address


def told(address: str) -> str:
    """Return what the guest says of itself."""
    said = probe.state(address)
    return f"hostname {said['hostname']}, boot {str(said['boot_id'])[:8]}"


def truth_of(wish: Wish, server_id: str) -> dict[str, Any]:
    """Return all that the services say of an instance, once Nova knows of its floating IP."""

    def known() -> bool:
        addresses = api.shared().compute.get_server(server_id).addresses
        kinds = [a["OS-EXT-IPS:type"] for listed in addresses.values() for a in listed]
        return "floating" in kinds or not wish.floating_ip

    waiting.until(f"Nova knows the floating IP of {wish.name}", known, 60)
    return truth(server_id)


def compare(
    name: str,
    before: dict[str, Any],
    server_id: str,
    modes: bool = True,
    allowed: Collection[str] = (),
) -> None:
    """Say what all services say differently of an instance, read without any of our code.

    :param modes: whether the ports' modes may differ.
    :param allowed: what else may.
    """
    others = {
        path: seen
        for path, seen in changes(before, truth(server_id)).items()
        if not (modes and ".binding:vif_details" in path)
        and not any(path == part or path.startswith(f"{part}.") for part in allowed)
        and not (allowed and path.endswith((".device_id", ".serverId")))
        # an instance that we have created has a tag that names its owner
        and not (allowed and path == "server.tags" and owner_alone(*seen))
    }
    if others:
        raise Unexpected(f"{name} is not what it was: {others}")
    besides = ["the modes of its ports"] * modes + ["what a new UUID brings"] * bool(allowed)
    said = f"but {' and '.join(besides)}" if besides else "at all"
    say(f"# {name}: Nova, Neutron and Cinder tell no difference {said}")


def expect(found: dict[str, str], wanted: dict[str, str]) -> None:
    """Make sure of the states of servers."""
    if found != wanted:
        raise Unexpected(f"the states are {found}, not {wanted}")


def set_modes(mode: str) -> None:
    """Change what the agents of the hosts report, and wait until Neutron knows."""
    for host in FAKE:
        agents.set_mode(host, mode, wait=False)
    agents.wait_reported(*FAKE)
    if hosts.status()[REAL]["pid"]:
        hosts.set_mode(REAL, mode)


def clean() -> None:
    """Remove what a demonstration has made: instances, their ports, volumes, addresses, images."""
    admin = api.connect("lab-admin")
    servers = [s for s in admin.compute.servers(all_projects=True) if s.name.startswith(PREFIX)]
    ports = [port for s in servers for port in admin.network.ports(device_id=s.id)]
    volumes = {held.id for s in servers for held in s.attached_volumes or ()}
    volumes |= {
        volume.id
        for volume in admin.block_storage.volumes(all_projects=True)
        if (volume.name or "").startswith(PREFIX)
    }
    for port in ports:
        for address in admin.network.ips(port_id=port.id):
            admin.network.delete_ip(address)
    for server in servers:
        admin.compute.delete_server(server)
    waiting.until(
        "the instances are deleted",
        lambda: not any(admin.compute.find_server(s.id, all_projects=True) for s in servers),
        120,
    )
    for port in ports:
        admin.network.delete_port(port, ignore_missing=True)
    for volume in volumes:
        admin.block_storage.delete_volume(volume, ignore_missing=True)
    waiting.until(
        "the volumes are deleted",
        lambda: not any(admin.block_storage.find_volume(v, all_projects=True) for v in volumes),
        120,
    )
    ours = {server.id for server in servers}
    made = {server.image.id for server in servers if server.image and server.image.id}
    made -= {image.id for image in admin.image.images() if image.name in SEEDED}
    for image in admin.image.images():
        if image.id in made or (image.name or "").rpartition(":")[2] in ours:
            admin.image.delete_image(image)


def say(line: str) -> None:
    """Print what is done next."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
