"""By hand: moving what belongs to a workload from one instance to another."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from upgrade_flows.planning.runbook.live_facts import NEW, Facts
from upgrade_flows.planning.runbook.step import HandStep


def move_volume(facts: Facts, volume: str) -> HandStep:
    """Return how a data volume comes from the original to the new instance, and back."""
    free = f'[ "$(openstack volume show {volume} -f value -c status)" = available ]'

    def carry(source: str, target: str) -> tuple[str, ...]:
        return (
            f"openstack server remove volume {source} {volume}",
            f"until {free}; do sleep 1; done",
            f"openstack server add volume {target} {volume}",
        )

    return HandStep(
        "Move a data volume",
        carry(facts.server, NEW),
        f"`openstack volume show {volume} -c status -c attachments` says `in-use` and the new id.",
        carry(NEW, facts.server),
    )


def move_port(facts: Facts, port: Mapping[str, Any]) -> HandStep:
    """Return how a port comes from the original to the new instance, and back."""
    port_id = port_id_of(port)
    mac = f" --mac-address {shlex.quote(str(port['mac']))}" if port.get("mac") else ""
    network = shlex.quote(str(port["network_id"])) if port.get("network_id") else '"$NETWORK"'
    fixed = "".join(f" --fixed-ip ip-address={address}" for address in port.get("addresses", ()))
    again = (
        f"openstack port show {port_id} -c id || openstack port create --project {facts.project}"
        f" --network {network}{mac}{fixed} again-{port_id}"
    )

    def carry(source: str, target: str) -> tuple[str, ...]:
        held = f"openstack port list --server {source} -f value -c ID | grep -qx {port_id}"
        return (
            f"openstack server remove port {source} {port_id}",
            f"while {held}; do sleep 1; done",
            again,
            f"openstack server add port {target} {port_id}",
        )

    return HandStep(
        "Move a port with its MAC and addresses; if Nova deleted it, make it again",
        carry(facts.server, NEW),
        f"The port is `ACTIVE`, with the MAC and the addresses of port-{port_id}.json. If it was"
        f" made again, add `again-{port_id}` instead, give it the security groups of the file, and"
        " its floating IP: `openstack floating ip set --port`.",
        carry(NEW, facts.server),
    )


def stop_new(facts: Facts) -> list[HandStep]:
    """Return how the new instance is stopped, where it does not notice what is plugged into it."""
    stop, start = f"openstack server stop {NEW}", f"openstack server start {NEW}"
    step = HandStep(
        "Stop the new instance: it is to boot with the ports and volumes that come to it",
        (stop,),
        f"`openstack server show {NEW} -c status` says `SHUTOFF`.",
        (start,),
    )
    return [step] if facts.restart else []


def start_new(facts: Facts) -> list[HandStep]:
    """Return how the new instance is started again, where it was stopped."""
    stop, start = f"openstack server stop {NEW}", f"openstack server start {NEW}"
    step = HandStep(
        "Start the new instance with all that it has now",
        (start,),
        f"`openstack server show {NEW} -c status` says `ACTIVE`.",
        (stop,),
    )
    return [step] if facts.restart else []


def port_id_of(port: Mapping[str, Any]) -> str:
    """Return the id of a port as a word of a shell."""
    return shlex.quote(str(port["id"]))
