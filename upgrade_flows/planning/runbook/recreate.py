"""By hand: giving a server what a restart does not give it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from upgrade_flows.model.plan import Action
from upgrade_flows.planning.runbook.step import HandStep, plain


@dataclass(frozen=True)
class Facts:
    """What the commands are filled in with, quoted for a shell."""

    server: str
    name: str
    host: str
    target: str
    project: str
    flavor: str
    running: bool
    ports: tuple[tuple[str, str], ...]
    volumes: tuple[str, ...]

    @classmethod
    def of(cls, action: Action) -> Facts:
        """Read the facts of an action; what its details lack is left to the shell."""
        details = action.details

        def value(key: str, otherwise: str) -> str:
            return shlex.quote(str(details[key])) if details.get(key) else f'"${otherwise}"'

        return cls(
            server=shlex.quote(action.subject),
            name=shlex.quote(action.name or action.subject),
            host=value("host", "HOST"),
            target=value("target_host", "TARGET_HOST"),
            project=value("project_id", "PROJECT"),
            flavor=value("flavor_id", "FLAVOR"),
            running=details.get("status", "ACTIVE") == "ACTIVE",
            ports=tuple(
                (shlex.quote(str(port["id"])), str(port.get("wanted", "")))
                for port in details.get("ports", ())
            ),
            volumes=tuple(shlex.quote(str(volume)) for volume in details.get("volumes", ())),
        )

    @property
    def root_volume(self) -> str:
        """The volume to boot from; where there are several, a human has to look."""
        return self.volumes[0] if len(self.volumes) == 1 else '"$ROOT_VOLUME"'


def steps_of(action: Action) -> list[HandStep]:
    """Return what is done by hand for an action; empty for a strategy unknown here."""
    build = STRATEGIES.get(action.strategy)
    return build(Facts.of(action)) if build else []


def _status(facts: Facts, status: str) -> str:
    return (
        f"`openstack server show {facts.server} -c status -c OS-EXT-STS:task_state`"
        f" says `{status}` and no task state."
    )


def _stop(facts: Facts) -> list[HandStep]:
    return [
        HandStep(
            "Stop the server: its downtime begins",
            (f"openstack server stop {facts.server}",),
            _status(facts, "SHUTOFF"),
            (f"openstack server start {facts.server}",),
        )
    ] * facts.running


def _start(facts: Facts) -> list[HandStep]:
    return [
        HandStep(
            "Start the server",
            (f"openstack server start {facts.server}",),
            _status(facts, "ACTIVE"),
            (f"openstack server stop {facts.server}",),
        )
    ] * facts.running


def _stop_again(facts: Facts, server: str) -> list[HandStep]:
    stop = HandStep(
        "Stop the server again: it was stopped before",
        (f"openstack server stop {server}",),
        f"`openstack server show {server} -c status` says `SHUTOFF`.",
        (f"openstack server start {server}",),
    )
    return [] if facts.running else [stop]


def _verify(facts: Facts, server: str, host: str) -> HandStep:
    shows = tuple(
        f"openstack port show {port} -c status -c binding_vif_type -c binding_vif_details"
        " -c mac_address -c fixed_ips"
        for port, _ in facts.ports
    )
    where = f"openstack server show {server} -c status -c OS-EXT-SRV-ATTR:host"
    return HandStep(
        "Verify",
        (where, *shows),
        f"The host is {host}, each port is in the new mode with the MAC and the addresses of"
        " before, and a server that ran before answers on its addresses.",
    )


def _rebind(facts: Facts) -> list[HandStep]:
    steps = _stop(facts)
    for port, wanted in facts.ports:
        steps.append(
            HandStep(
                "Unbind the port and bind it again, so that Neutron works its mode out anew",
                (
                    f"openstack port unset --host {port}",
                    f"openstack port set --host {facts.host} {port}",
                ),
                f"`openstack port show {port} -c binding_vif_type -c binding_vif_details`"
                f" shows the mode {plain(wanted)}, and not `binding_failed` or `unbound`.",
                (f"openstack port set --host {facts.host} {port}",),
            )
        )
    return [*steps, *_start(facts), _verify(facts, facts.server, facts.host)]


def _cold_migrate(facts: Facts) -> list[HandStep]:
    return [
        HandStep(
            "Migrate the server cold to a host that is up to date",
            (
                "openstack --os-compute-api-version 2.56 server migrate"
                f" --host {facts.target} --wait {facts.server}",
            ),
            _status(facts, "VERIFY_RESIZE"),
            (f"openstack server migrate revert {facts.server}",),
        ),
        _verify(facts, facts.server, facts.target),
        HandStep(
            "Confirm the migration",
            (f"openstack server migrate confirm {facts.server}",),
            _status(facts, "ACTIVE" if facts.running else "SHUTOFF"),
            no_undo="cannot be undone: the disk on the old host is deleted",
        ),
    ]


def _shelve(facts: Facts) -> list[HandStep]:
    back = (
        "openstack --os-compute-api-version 2.91 server unshelve"
        f" --host {facts.host} --wait {facts.server}"
    )
    return [
        HandStep(
            "Shelve the server and free its host",
            (f"openstack server shelve --offload --wait {facts.server}",),
            _status(facts, "SHELVED_OFFLOADED"),
            (back,),
        ),
        HandStep(
            "Bring the server back on its host (which must be enabled)",
            (back,),
            _status(facts, "ACTIVE"),
            no_undo="shelve and unshelve once more",
        ),
        *_stop_again(facts, facts.server),
        _verify(facts, facts.server, facts.host),
    ]


def _record(facts: Facts) -> HandStep:
    return HandStep(
        "Record the identity of the server: these files are all that rebuilds it",
        (
            f"openstack server show {facts.server} -f json > server.json",
            f"openstack server volume list {facts.server} --long -f json > volumes.json",
            f"openstack port list --server {facts.server} --long -f json > ports.json",
            *(f"openstack port show {port} -f json > port-{port}.json" for port, _ in facts.ports),
        ),
        "The files are there and name the flavor, the key, the metadata, the tags, the group,"
        " the user data, every volume with its device, and every port with MAC and addresses.",
    )


def _release_ports(facts: Facts) -> list[HandStep]:
    return [
        HandStep(
            "Set the port free, so that Nova does not delete it with the server"
            " (only while the server is stopped)",
            (
                f'openstack port set --device "" --device-owner "" {port}',
                f"openstack port unset --host {port}",
            ),
            f"`openstack port show {port} -c device_id -c binding_host_id` shows neither.",
            (
                f"openstack port set --device {facts.server} --device-owner compute:nova"
                f" --host {facts.host} {port}",
            ),
        )
        for port, _ in facts.ports
    ]


def _create(facts: Facts, root: str) -> HandStep:
    ports = " ".join(f"--port {port}" for port, _ in facts.ports)
    return HandStep(
        "Create the replacement on the same host, in the project of the original",
        (
            f"openstack --os-compute-api-version 2.90 --os-project-id {facts.project}"
            f" server create --flavor {facts.flavor} {root} {ports} --host {facts.host}"
            f" --wait {facts.name}",
        ),
        "The status is `ACTIVE`. Add `--key-name`, `--property`, `--tag`, `--hint group=`,"
        " `--user-data`, `--hostname`, `--description` and `--use-config-drive` as server.json"
        " has them; note the new id as `$NEW`.",
        ('openstack server delete --wait "$NEW"',),
    )


def _keep_and_delete(facts: Facts, how: str) -> list[HandStep]:
    """Return the steps that delete the original and nothing that it held."""
    keep = HandStep(
        "Keep the volumes when the server goes",
        tuple(
            "openstack --os-compute-api-version 2.85 server volume update"
            f" --preserve-on-termination {facts.server} {volume}"
            for volume in facts.volumes
        ),
        f"`openstack --os-compute-api-version 2.85 server volume list {facts.server}`"
        " says `False` under *Delete On Termination?* for each.",
        no_undo="set `--delete-on-termination` again for those that had it",
    )
    delete = HandStep(
        "Delete the original; its volumes and ports stay",
        (f"openstack server delete --wait {facts.server}",),
        "Each volume is `available`, each port is there with its MAC and its addresses.",
        no_undo=f"create the server again {how}, as the next step does, in the mode of before",
    )
    return [*([keep] if facts.volumes else []), *_release_ports(facts), delete]


def _recreate(facts: Facts) -> list[HandStep]:
    return [
        _record(facts),
        *_stop(facts),
        *_keep_and_delete(facts, "from its volumes"),
        _create(facts, f"--volume {facts.root_volume}"),
        *_attach(facts.volumes if len(facts.volumes) > 1 else ()),
        *_stop_again(facts, '"$NEW"'),
        _verify(facts, '"$NEW"', facts.host),
    ]


def _snapshot(facts: Facts) -> list[HandStep]:
    image = shlex.quote(f"upgrade-{facts.server}")
    return [
        _record(facts),
        *_stop(facts),
        HandStep(
            "Snapshot the root disk",
            (f"openstack server image create --name {image} --wait {facts.server}",),
            f"`openstack image show {image} -c status -c size` says `active` and a size that is"
            " not 0. Do not go on without it.",
            (f"openstack image delete {image}",),
        ),
        *_keep_and_delete(facts, "from the snapshot"),
        _create(facts, f"--image {image}"),
        *_attach(facts.volumes),
        *_stop_again(facts, '"$NEW"'),
        _verify(facts, '"$NEW"', facts.host),
    ]


def _attach(volumes: tuple[str, ...]) -> list[HandStep]:
    return [
        HandStep(
            "Attach the volume to the replacement, unless it is the root disk"
            " (volumes.json has the device)",
            (f'openstack server add volume "$NEW" {volume}',),
            f"`openstack volume show {volume} -c status` says `in-use`.",
            (f'openstack server remove volume "$NEW" {volume}',),
        )
        for volume in volumes
    ]


STRATEGIES: dict[str, Callable[[Facts], list[HandStep]]] = {
    "rebind": _rebind,
    "cold-migrate": _cold_migrate,
    "shelve": _shelve,
    "recreate": _recreate,
    "snapshot": _snapshot,
}
